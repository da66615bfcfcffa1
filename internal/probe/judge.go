package probe

import (
	"net/http"
	"strings"
)

// judge reads a verdict off an answer. A reason comes with every verdict but
// Accepted.
func judge(r *http.Response) (v Verdict, reason string) {
	challenge := challengeError(r.Header.Values("WWW-Authenticate"))
	switch s := r.StatusCode; {
	case challenge == "insufficient_scope":
		return Accepted, "" // RFC 6750 section 3.1: a new token would have the same scope
	case s == http.StatusUnauthorized, challenge == "invalid_token" && s >= 400 && s < 500:
		return Refused, "the resource does not take the token"
	case s >= 500:
		return Unknown, "the resource has a fault of its own"
	case s == http.StatusTooManyRequests, s == http.StatusRequestTimeout, s == http.StatusProxyAuthRequired:
		return Unknown, "the resource was not reached"
	case s >= 300 && s < 400 && s != http.StatusNotModified:
		return Unknown, "redirects are not followed; give the final URL"
	}
	return Accepted, ""
}

// challengeError is the error code of the Bearer challenge among the headers (RFC
// 6750 section 3), or "".
func challengeError(headers []string) string {
	for _, h := range headers {
		scheme, params, _ := strings.Cut(strings.TrimSpace(h), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			continue
		}
		for part := range strings.SplitSeq(params, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if strings.EqualFold(strings.TrimSpace(name), "error") {
				return strings.Trim(strings.TrimSpace(value), `"`)
			}
		}
	}
	return ""
}
