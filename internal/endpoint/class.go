package endpoint

import (
	"net/http"
	"slices"

	"github.com/tokend-project/tokend/internal/token"
)

// addressed reports whether a status speaks of the address, the method or the
// message, and not of the grant: whoever answered hadn't come to the grant yet.
// A login would meet the same, so a refresh token is not given up for it.
func addressed(status int) bool {
	return slices.Contains([]int{
		http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusProxyAuthRequired,
		http.StatusGone, http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
		http.StatusUnsupportedMediaType, http.StatusMisdirectedRequest, http.StatusUpgradeRequired,
		http.StatusRequestHeaderFieldsTooLarge,
	}, status)
}

// classify gives a definite answer its class: by the error code of RFC 6749
// section 5.2 where there is one, else by the status. structured says that the
// body was an object with fields, so that an application answered and not
// something on the way to it.
//
//	redirect                                   Misconfigured  the grant was not processed, and is not where we asked
//	408, 425, 429, temporarily_unavailable,
//	slow_down                                  Transient      declined for now
//	5xx, server_error                          Ambiguous      may have failed after the refresh token was spent
//	invalid_client, unauthorized_client        Misconfigured  of a refresh too: a login by this client fares no better
//	invalid_scope, unsupported_grant_type,
//	invalid_request, invalid_target            Misconfigured  of a login
//	                                           Rejected       of a refresh: seen for dead refresh tokens, and from
//	                                                          servers that issue one and won't take it; a login can mend it
//	404, 405, 415 and the like without fields  Misconfigured  the address or the shape is wrong
//	any other                                  Rejected       invalid_grant, a bare 400, 401 or 403: at a login it may be
//	                                                          the password, so it must be slow; a refresh logs in anew
func classify(status int, code string, structured, refresh bool) token.Class {
	switch {
	case status/100 == 3:
		return token.Misconfigured
	case status == http.StatusTooManyRequests, status == http.StatusTooEarly, status == http.StatusRequestTimeout,
		code == "temporarily_unavailable", code == "slow_down":
		return token.Transient
	case status/100 == 5, status/100 == 1, code == "server_error":
		return token.Ambiguous
	case code == "invalid_client", code == "unauthorized_client":
		return token.Misconfigured
	case code == "invalid_scope", code == "unsupported_grant_type", code == "invalid_request", code == "invalid_target":
		if refresh {
			return token.Rejected
		}
		return token.Misconfigured
	case !structured && addressed(status):
		return token.Misconfigured
	}
	return token.Rejected
}
