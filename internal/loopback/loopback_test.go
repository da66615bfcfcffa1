package loopback_test

import (
	"net/url"
	"testing"

	"github.com/tokend-project/tokend/internal/loopback"
)

func TestIs(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"127.0.0.1":              true,
		"127.8.9.10":             true, // all of 127/8, RFC 1122 section 3.2.1.3
		"127.255.255.255":        true,
		"::1":                    true,
		"0:0:0:0:0:0:0:1":        true,
		"::ffff:127.0.0.1":       true, // what a dual-stack socket calls 127.0.0.1
		"::ffff:7f00:1":          true,
		"localhost":              true,
		"LocalHost":              true,
		"":                       false,
		"0.0.0.0":                false, // connects to this machine on Linux, but not everywhere
		"::":                     false,
		"126.255.255.255":        false,
		"128.0.0.1":              false,
		"10.0.0.1":               false,
		"::2":                    false,
		"::ffff:10.0.0.1":        false,
		"::127.0.0.1":            false, // the deprecated IPv4-compatible form, RFC 4291 section 2.5.5.1
		"::1%eth0":               false, // a zone says which link, and loopback is none
		"fe80::1":                false,
		"127.1":                  false, // some resolvers read these as 127.0.0.1, others ask DNS
		"2130706433":             false,
		"0x7f.0.0.1":             false,
		"0177.0.0.1":             false,
		"localhost.":             false,
		"localhost.example":      false,
		"auth.localhost":         false,
		"localhost.localdomain":  false,
		"127.0.0.1.nip.example":  false,
		" 127.0.0.1":             false,
		"127.0.0.1:80":           false, // a host, not an address with a port
		"[::1]":                  false,
		"localhost\u2024example": false,
	} {
		if got := loopback.Is(host); got != want {
			t.Errorf("Is(%q) is %t", host, got)
		}
	}
}

// The host is what net/url makes of an address, not what the eye makes of it.
func TestIsJudgesTheHostThatIsConnectedTo(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"http://127.0.0.1:8080/token":         true,
		"http://[::1]:8080/token":             true,
		"http://[::ffff:127.0.0.1]/token":     true,
		"http://localhost/token":              true,
		"http://localhost@evil.example/":      false,
		"http://127.0.0.1@evil.example/":      false,
		"http://evil.example/#127.0.0.1":      false,
		"http://evil.example/?host=localhost": false,
		"http://evil.example:80/127.0.0.1":    false,
		"http://[::1%25lo]/token":             false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if got := loopback.Is(u.Hostname()); got != want {
			t.Errorf("Is(%q), the host of %s, is %t", u.Hostname(), address, got)
		}
	}
}
