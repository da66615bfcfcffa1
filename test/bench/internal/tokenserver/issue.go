package tokenserver

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// tokenLength is what an opaque access token of a real server is about as long as.
const tokenLength = 64

const padding = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

// AccessToken is what an access token says of itself.
type AccessToken struct {
	Token   int32
	Serial  int32
	Expires int64 // Unix nanoseconds
}

// String spells the token as it is issued.
func (a AccessToken) String() string {
	s := fmt.Sprintf("bench.%d.%d.%d.", a.Token, a.Serial, a.Expires)
	return s + padding[:max(tokenLength-len(s), 1)]
}

// ParseAccessToken reads what [AccessToken.String] wrote. It reports false for
// anything else, a token cut short included.
func ParseAccessToken(s string) (AccessToken, bool) {
	parts := strings.Split(strings.TrimSuffix(s, "\n"), ".")
	if len(parts) != 5 || parts[0] != "bench" {
		return AccessToken{}, false
	}
	number, err1 := strconv.ParseInt(parts[1], 10, 32)
	serial, err2 := strconv.ParseInt(parts[2], 10, 32)
	expires, err3 := strconv.ParseInt(parts[3], 10, 64)
	a := AccessToken{Token: int32(number), Serial: int32(serial), Expires: expires}
	if err1 != nil || err2 != nil || err3 != nil || a.String() != strings.TrimSuffix(s, "\n") {
		return AccessToken{}, false
	}
	return a, true
}

// issue makes the client's next access token. A refresh token must be the
// newest of its client; it is replaced at every use (RFC 6749 section 6), with no
// grace at all.
func (l *Ledger) issue(req request, now time.Time, lifetime time.Duration) (AccessToken, string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clients[req.token]
	if req.grant == "refresh_token" && (c.refresh == "" || req.refreshToken != c.refresh) {
		return AccessToken{}, "", false
	}
	c.serial++
	if req.grant != "client_credentials" {
		c.refresh = fmt.Sprintf("renew.%d.%d", req.token, c.serial)
	}
	l.clients[req.token] = c
	return AccessToken{Token: req.token, Serial: c.serial, Expires: now.Add(lifetime).UnixNano()}, c.refresh, true
}
