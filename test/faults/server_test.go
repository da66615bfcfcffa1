package faults

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// server is an authorization server that rotates refresh tokens without grace,
// and keeps a list of what it was asked.
type server struct {
	*httptest.Server
	bell *bell

	mu       sync.Mutex
	requests []request
	issued   int
	live     map[string]string                           // user by the refresh token that is good
	lifetime int                                         // seconds
	answer   func(w http.ResponseWriter, r request) bool // true: it has answered in the server's stead
}

// request is one token request as it came.
type request struct {
	http     *http.Request
	grant    string
	user     string // who logs in, or whose refresh token it is; empty when it is nobody's
	password string
	client   string
	secret   string
	refresh  string
	nth      int // of this user, from 1
}

func newServer(t *testing.T, b *bell) *server {
	t.Helper()
	s := &server{bell: b, live: map[string]string{}, lifetime: 3600}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// answers replaces what answers in the server's stead; nil for nobody.
func (s *server) answers(f func(w http.ResponseWriter, r request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	req, answer := s.note(r)
	defer s.bell.ring()
	s.bell.ring()
	if answer != nil && answer(w, req) {
		return
	}
	status, body := s.decide(req)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // who asked may be gone
}

func (s *server) note(r *http.Request) (request, func(http.ResponseWriter, request) bool) {
	id, secret, _ := r.BasicAuth()
	req := request{http: r, grant: r.FormValue("grant_type"), user: r.FormValue("username"), password: r.FormValue("password"),
		client: id, secret: secret, refresh: r.FormValue("refresh_token"), nth: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	if req.refresh != "" {
		req.user = s.live[req.refresh]
	} else if req.user == "" {
		req.user = id
	}
	for _, earlier := range s.requests {
		if earlier.user == req.user {
			req.nth++
		}
	}
	s.requests = append(s.requests, req)
	return req, s.answer
}

func (s *server) decide(r request) (int, map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.grant == "refresh_token" {
		if _, good := s.live[r.refresh]; !good {
			return http.StatusBadRequest, map[string]any{"error": "invalid_grant"}
		}
		delete(s.live, r.refresh)
	}
	s.issued++
	next := "rt-" + rand.Text()
	s.live[next] = r.user
	return http.StatusOK, map[string]any{"access_token": "at-" + rand.Text(), "refresh_token": next,
		"token_type": "Bearer", "expires_in": s.lifetime}
}

// count is how many requests of a grant there were, or of all.
func (s *server) count(grant string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if grant == "" || r.grant == grant {
			n++
		}
	}
	return n
}

// all is what the server was asked.
func (s *server) all() []request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]request(nil), s.requests...)
}

// provider is a provider block that leads to the server.
func (s *server) provider(extra string) string {
	return fmt.Sprintf(`
provider "p" {
  token_endpoint = %q
  client_id      = "client"
  client_secret  = "client-secret"
  %s
}
`, s.URL+"/token", extra)
}

// person is a token that logs in as the user of its name and goes into the file
// out/NAME.
func person(name, extra string) string {
	return fmt.Sprintf(`
token %[1]q {
  provider = "p"
  grant "password" {
    username = %[1]q
    password = "word-of-%[1]s"
  }
  sink "file" {
    path = "DIR/out/%[1]s"
  }
  %[2]s
}
`, name, extra)
}
