package manifests

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// provider is the token endpoint of the examples (RFC 6749 section 4.4), on
// loopback.
type provider struct {
	address string
	logins  atomic.Int64
}

// clientSecret is what the client of the examples knows.
const clientSecret = "the client's secret"

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	p.address = s.URL
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, secret, _ := r.BasicAuth()
	if secret != url.QueryEscape(clientSecret) || r.PostFormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"error": "invalid_client"}`)
		return
	}
	_, _ = fmt.Fprintf(w, `{"access_token": "token-%d", "token_type": "Bearer", "expires_in": 3600}`, p.logins.Add(1))
}

// configure does what who takes an example over does: it puts the provider's
// address and the secrets in.
func configure(t *testing.T, all objects, p *provider) {
	t.Helper()
	edit(t, all, strings.NewReplacer(
		"https://auth.example", p.address,
		`"state-key":"replace-me"`, `"state-key":"`+strings.Repeat("k", 44)+`"`,
		`.secret":"replace-me"`, `.secret":"`+clientSecret+`"`,
	))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}
