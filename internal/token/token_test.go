package token_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func TestTokenIsValidUntilTheInstantOfItsExpiry(t *testing.T) {
	t.Parallel()
	expiry := time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	berlin := time.FixedZone("CET", 3600)
	some := token.NewSecret("x")
	for _, c := range []struct {
		name string
		tok  token.Token
		now  time.Time
		want bool
	}{
		{"none", token.Token{}, expiry, false},
		{"without an access token", token.Token{ExpiresAt: expiry}, expiry.Add(-time.Hour), false},
		{"without an expiry", token.Token{AccessToken: some}, expiry, false},
		{"before", token.Token{AccessToken: some, ExpiresAt: expiry}, expiry.Add(-time.Nanosecond), true},
		{"at the instant", token.Token{AccessToken: some, ExpiresAt: expiry}, expiry, false},
		{"after", token.Token{AccessToken: some, ExpiresAt: expiry}, expiry.Add(time.Nanosecond), false},
		{"before, in another zone", token.Token{AccessToken: some, ExpiresAt: expiry.In(berlin)}, expiry.Add(-time.Second), true},
		{"at the instant, in another zone", token.Token{AccessToken: some, ExpiresAt: expiry.In(berlin)}, expiry, false},
		{"issued ahead of our clock", token.Token{AccessToken: some, IssuedAt: expiry.Add(-time.Minute), ExpiresAt: expiry}, expiry.Add(-time.Hour), true},
	} {
		if got := c.tok.Valid(c.now); got != c.want {
			t.Errorf("%s: Valid is %t", c.name, got)
		}
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	issued := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, want := range []time.Duration{time.Hour, time.Nanosecond, 0, -time.Second, 100 * 365 * 24 * time.Hour} {
		tok := token.Token{IssuedAt: issued, ExpiresAt: issued.Add(want)}
		if got := tok.Lifetime(); got != want {
			t.Errorf("Lifetime is %v, not %v", got, want)
		}
	}
	if (token.Token{}).Lifetime() != 0 {
		t.Error("no token has a lifetime")
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"a": true, "0": true, "operator": true, "rator-customer": true, "a.b_c-d": true, "9lives": true, "a..b": true,
		strings.Repeat("a", 63): true,
		strings.Repeat("a", 64): false,
		"":                      false,
		"Operator":              false,
		"-a":                    false,
		"_a":                    false,
		".a":                    false, // a hidden file
		"..":                    false, // a way out of a directory
		"a/b":                   false,
		`a\b`:                   false,
		"a b":                   false,
		" a":                    false,
		"a\n":                   false, // $ of a regular expression may stand before a last newline
		"a\x00":                 false,
		"ä":                     false,
		"a\u0308":               false,
		"a:b":                   false,
		"a=b":                   false,
		`a"b`:                   false,
		"a%2fb":                 false,
		"аdmin":                 false, // a Cyrillic а
	} {
		if got := token.ValidName(name); got != want {
			t.Errorf("ValidName(%q) is %t", name, got)
		}
	}
}
