package endpoint

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const maxLifetime = 365 * 24 * time.Hour

// setExpiry counts the lifetime from the moment before the request was sent.
// The server's Date header plays no part: its clock may be anywhere.
func (j *judge) setExpiry(a *token.Answer, d *document) {
	lifetime, ok := expiresIn(a, d.get(j.names.ExpiresIn))
	if !ok {
		if lifetime, ok = jwtLifetime(a.AccessToken.Reveal(), a.IssuedAt); ok {
			odd(a, "no expires_in, the lifetime is from the token's exp claim")
		} else {
			lifetime = j.names.DefaultLifetime
			odd(a, "no expires_in, the lifetime is the configured default")
		}
	}
	switch {
	case lifetime > maxLifetime:
		lifetime = maxLifetime
		odd(a, "the lifetime is over a year, taken as one year")
	case lifetime <= 0:
		odd(a, "the token has expired on arrival")
	}
	a.ExpiresAt = a.IssuedAt.Add(lifetime)
}

// expiresIn reads seconds, be they a number or a string, whole or not.
func expiresIn(a *token.Answer, v value) (time.Duration, bool) {
	switch v.kind {
	case absent, null:
		return 0, false
	case text:
		odd(a, "expires_in is a string")
	case number:
	default:
		odd(a, "expires_in is not a number")
		return 0, false
	}
	d, ok := seconds(strings.TrimSpace(v.text))
	if !ok {
		odd(a, "expires_in is not a number")
	}
	return d, ok
}

// seconds reads a decimal number, and cuts it to two years either way, so that
// the result is a Duration.
func seconds(s string) (time.Duration, bool) {
	// ParseFloat also takes NaN, Inf, hexadecimals and underscores.
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	const bound = float64(2 * maxLifetime / time.Second)
	return time.Duration(max(-bound, min(bound, f)) * float64(time.Second)), true
}

// jwtLifetime reads the exp and iat claims of a JWT (RFC 7519 section 4.1)
// without looking at its signature: the token is not trusted for anything, it is
// only asked how long it wants to be used. exp − iat is what the server's clock
// says by itself; what is left until exp by our clock is less when the server
// handed out an older token again, and means nothing when it is in the past.
func jwtLifetime(access string, now time.Time) (time.Duration, bool) {
	_, rest, _ := strings.Cut(access, ".")
	payload, _, ok := strings.Cut(rest, ".")
	if !ok {
		return 0, false
	}
	claims, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(payload, "="))
	if err != nil {
		return 0, false
	}
	var d object
	d.read(claims)
	exp, ok := instant(d.get("exp"))
	if !ok {
		return 0, false
	}
	left := exp.Sub(now)
	if iat, ok := instant(d.get("iat")); ok && exp.After(iat) {
		if whole := exp.Sub(iat); left <= 0 || left > whole {
			return whole, true
		}
	}
	return left, left > 0
}

// instant reads a NumericDate (RFC 7519 section 2).
func instant(v value) (time.Time, bool) {
	if v.kind != number {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || f < 0 || f > 1e11 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(f * 1000)), true
}
