package devserver

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
)

// reply is an answer, and what the statistics say about it.
type reply struct {
	status      int
	contentType string
	header      http.Header
	body        []byte
	visit       Request
}

func jsonReply(status int, contentType string, v any) reply {
	body, err := json.Marshal(v)
	if err != nil {
		return reply{status: http.StatusInternalServerError}
	}
	return reply{status: status, contentType: contentType, body: body}
}

// oauthRefuse is an error answer of RFC 6749 section 5.2.
func oauthRefuse(no *refusal) reply {
	return jsonReply(no.status, "application/json;charset=UTF-8", map[string]any{
		"error": no.code, "error_description": no.text,
	}).refused(no)
}

func (a reply) refused(no *refusal) reply {
	a.visit.Outcome = Refused
	if no.reuse {
		a.visit.Outcome = Reused
	}
	a.visit.Account, a.visit.Detail = no.account, no.text
	if no.status == http.StatusUnauthorized {
		a.header = http.Header{"Www-Authenticate": {`Basic realm="oauth2/client"`}}
	}
	return a
}

func (a reply) granted(grant string, out *issued) reply {
	a.visit.Outcome = LoggedIn
	if grant == grantRefresh {
		a.visit.Outcome = Refreshed
	}
	a.visit.Account = out.account
	return a.of(grant)
}

// resourceVisit stands where a grant stands when no token was asked for.
const resourceVisit = "resource"

// of notes what was asked for, in words of our own: an unknown grant_type is
// whatever a client sent, and might be a secret in the wrong place.
func (a reply) of(grant string) reply {
	switch grant {
	case grantClient, grantPassword, grantOperator, grantRefresh, resourceVisit:
		a.visit.Grant = grant
	case "":
	default:
		a.visit.Grant = "other"
	}
	return a
}

func (a reply) write(w http.ResponseWriter) {
	h := w.Header()
	maps.Copy(h, a.header)
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "no-store") // RFC 6749 section 5.1
	h.Set("Pragma", "no-cache")
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone needs no answer
}

// judge answers for a resource: content to a live bearer token, else the 401
// of RFC 6750 section 3.1, and without an error code where no token was sent.
func (s *Server) judge(api API, r *http.Request, content any) reply {
	scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	s.mu.Lock()
	account, live := s.ledger.live(api, bearer, s.options.Now())
	s.mu.Unlock()
	if live && strings.EqualFold(scheme, "Bearer") {
		a := jsonReply(http.StatusOK, "application/json;charset=UTF-8", content).of(resourceVisit)
		a.visit.Outcome, a.visit.Account = Accepted, account
		return a
	}
	a := jsonReply(http.StatusUnauthorized, "application/json;charset=UTF-8", map[string]any{
		"error": "invalid_token", "error_description": "The access token is unknown, revoked or expired",
	}).of(resourceVisit)
	challenge := `Bearer realm="` + string(api) + `"`
	if bearer != "" {
		challenge += `, error="invalid_token"`
	}
	a.header = http.Header{"Www-Authenticate": {challenge}}
	a.visit.Outcome, a.visit.Account = Unauthorized, account
	return a
}

func (s *Server) knowsClient(api API, id, secret string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books[api].knowsClient(id, secret)
}
