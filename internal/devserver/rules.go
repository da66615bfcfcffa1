package devserver

import (
	"net/http"
	"time"
)

// rulesOf is the one table of how the APIs differ in substance. What their
// documents leave open is taken from the software they evidently run: Musement's
// tokens and answers are those of a Symfony OAuth server, which gives the
// configured lifetime; GreyMatter's and Rator's are Spring's, which gives what is
// left of it and truncates (the documented 43199 of 43200 seconds).
func rulesOf(api API) rules {
	switch api {
	case Musement:
		return rules{
			grants:      []string{grantClient, grantPassword, grantRefresh},
			refreshable: []string{grantPassword},
			rotates:     true,
			badLogin:    refusal{status: http.StatusBadRequest, code: "invalid_grant", text: "Invalid username and password combination"},
			badRefresh:  refusal{status: http.StatusBadRequest, code: "invalid_grant", text: "Invalid refresh token"},
			mint:        opaque(hexInBase64),
			mintRefresh: hexInBase64,
		}
	case GreyMatter:
		return rules{
			grants:      []string{grantPassword, grantRefresh},
			refreshable: []string{grantPassword},
			countsDown:  true,
			badLogin:    refusal{status: http.StatusUnauthorized, code: "unauthorized", text: "Bad credentials"},
			badRefresh:  refusal{status: http.StatusUnauthorized, code: "invalid_grant", text: "Invalid refresh token"},
			mint:        jsonWebToken,
			mintRefresh: largeString,
		}
	default:
		return rules{
			grants:      []string{grantClient, grantPassword, grantOperator, grantRefresh},
			refreshable: []string{grantPassword, grantOperator},
			rotates:     true,
			countsDown:  true,
			badLogin:    refusal{status: http.StatusBadRequest, code: "invalid_grant", text: "Bad credentials"},
			badRefresh:  refusal{status: http.StatusBadRequest, code: "invalid_grant", text: "Invalid refresh token"},
			mint:        opaque(newUUID),
			mintRefresh: newUUID,
		}
	}
}

func opaque(mint func() string) func(*Server, demand, string, time.Time) (string, string, error) {
	return func(*Server, demand, string, time.Time) (string, string, error) { return mint(), "", nil }
}
