package grants

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"unsafe"

	"github.com/tokend-project/tokend/internal/endpoint"
	"github.com/tokend-project/tokend/internal/token"
)

// server returns a client whose requests land in the channel, as their bodies.
func server(t *testing.T) (*endpoint.Client, <-chan string) {
	t.Helper()
	bodies := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		body, _ := io.ReadAll(r.Body)
		bodies <- id + ":" + secret + " " + string(body)
		io.WriteString(w, `{"access_token":"at","token_type":"bearer","expires_in":60,"refresh_token":"rt-2"}`)
	}))
	t.Cleanup(s.Close)
	c, err := endpoint.New(endpoint.Config{TokenEndpoint: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, bodies
}

func source(t *testing.T, c *endpoint.Client, kind string, params map[string]token.Secret, scope ...string) *Source {
	t.Helper()
	g, err := New(kind, params, scope)
	if err != nil {
		t.Fatal(err)
	}
	return NewSource(c, "id", token.NewSecret("secret"), g)
}

func TestLoginAndRefreshOfAPasswordGrant(t *testing.T) {
	c, bodies := server(t)
	s := source(t, c, "password", values("username", "u", "password", "p"), "a", "b")
	a, err := s.Login(t.Context())
	if err != nil || a.AccessToken.Reveal() != "at" || a.RefreshToken.Reveal() != "rt-2" {
		t.Fatalf("%v, %v", a, err)
	}
	if got := <-bodies; got != "id:secret grant_type=password&password=p&scope=a+b&username=u" {
		t.Errorf("login sent %s", got)
	}
	if _, err := s.Refresh(t.Context(), token.NewSecret("rt-1")); err != nil {
		t.Fatal(err)
	}
	// RFC 6749 section 6: a scope left out is the one that was granted.
	if got := <-bodies; got != "id:secret grant_type=refresh_token&refresh_token=rt-1" {
		t.Errorf("refresh sent %s", got)
	}
	if !s.Seed().IsEmpty() {
		t.Error("a password grant has no seed")
	}
}

func TestFamilyOfAConfiguredRefreshTokenCannotLogIn(t *testing.T) {
	c, bodies := server(t)
	s := source(t, c, "refresh_token", values("refresh_token", "rt-0"))
	if got := s.Seed().Reveal(); got != "rt-0" {
		t.Errorf("seed is %q", got)
	}
	_, err := s.Login(t.Context())
	var f *token.Failure
	if !errors.As(err, &f) || f.Class != token.Rejected || f.Reason != "needs_human" {
		t.Errorf("login: %v", err)
	}
	select {
	case got := <-bodies:
		t.Errorf("login sent %s", got)
	default:
	}
	if _, err := s.Refresh(t.Context(), s.Seed()); err != nil {
		t.Error(err)
	}
	if got := <-bodies; got != "id:secret grant_type=refresh_token&refresh_token=rt-0" {
		t.Errorf("refresh sent %s", got)
	}
}

func TestSourceIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Source{}); n > 64 {
		t.Errorf("%d bytes for each of 10,000 tokens", n)
	}
}
