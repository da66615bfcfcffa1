package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// strict is an authorization server without mercy: the password grant begins a
// family, each refresh replaces the refresh token and kills the access token
// before it, and a refresh token that is shown twice ends its family. It keeps a
// journal of everything that it was shown.
type strict struct {
	*httptest.Server
	lifetime time.Duration
	// pace is called around each commit, so that a test decides how long the
	// answer takes before and after it.
	pace func(committed bool)

	mu        sync.Mutex
	open      int // connections
	boot      int // the test counts the daemon's starts here
	families  map[string]*family
	byRefresh map[string]*issue
	byAccess  map[string]*issue
	journal   []entry
}

// family is what began with one login.
type family struct {
	user    string
	latest  *issue
	revoked bool
	boot    int // in which the login came
}

// issue is one answer of a family: its sequence number and what was in it.
type issue struct {
	family          *family
	seq             int
	access, refresh string
	expires         time.Time
}

// entry is one token request as the server understood it.
type entry struct {
	boot    int
	user    string
	kind    string // login, refresh, reuse, unknown
	refresh string // the refresh token that was presented
}

func startStrict(t *testing.T, lifetime time.Duration) *strict {
	t.Helper()
	s := &strict{
		lifetime:  lifetime,
		pace:      func(bool) {},
		families:  map[string]*family{},
		byRefresh: map[string]*issue{},
		byAccess:  map[string]*issue{},
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.token))
	s.Config.ConnState = s.connection
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *strict) connection(_ net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.open++
	case http.StateClosed, http.StateHijacked:
		s.open--
	}
}

// settle waits until everything that a killed client had sent is dealt with.
func (s *strict) settle(t *testing.T) {
	t.Helper()
	tokend.Await(t, 10*time.Second, "the server is done with the dead client", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.open == 0
	})
}

func (s *strict) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	pace := s.pace
	s.mu.Unlock()
	pace(false)
	status, body := s.decide(r)
	pace(true)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be dead
}

func (s *strict) decide(r *http.Request) (int, map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.PostFormValue("grant_type") {
	case "password":
		user := r.PostFormValue("username")
		f := &family{user: user, boot: s.boot}
		s.families[user] = f
		s.note(entry{user: user, kind: "login"})
		return http.StatusOK, s.issue(f)
	case "refresh_token":
		return s.refresh(r.PostFormValue("refresh_token"))
	default:
		return http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"}
	}
}

func (s *strict) refresh(presented string) (int, map[string]any) {
	refused := map[string]any{"error": "invalid_grant"}
	found, ok := s.byRefresh[presented]
	switch {
	case !ok:
		s.note(entry{kind: "unknown", refresh: presented})
		return http.StatusBadRequest, refused
	case found.family.revoked || found.family.latest != found:
		s.note(entry{user: found.family.user, kind: "reuse", refresh: presented})
		found.family.revoked = true
		return http.StatusBadRequest, refused
	}
	s.note(entry{user: found.family.user, kind: "refresh", refresh: presented})
	return http.StatusOK, s.issue(found.family)
}

func (s *strict) issue(f *family) map[string]any {
	next := &issue{family: f, access: "at-" + rand.Text(), refresh: "rt-" + rand.Text(), expires: time.Now().Add(s.lifetime)}
	if f.latest != nil {
		next.seq = f.latest.seq + 1
	}
	f.latest = next
	s.byRefresh[next.refresh], s.byAccess[next.access] = next, next
	return map[string]any{
		"access_token": next.access, "refresh_token": next.refresh,
		"token_type": "Bearer", "expires_in": int(s.lifetime / time.Second),
	}
}

func (s *strict) note(e entry) {
	e.boot = s.boot
	s.journal = append(s.journal, e)
}

// introspect implements introspector.
func (s *strict) introspect(_ context.Context, accessToken string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.byAccess[accessToken]
	return ok && !i.family.revoked && i.family.latest == i && time.Now().Before(i.expires), nil
}

// requests is how many token requests there were.
func (s *strict) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.journal)
}
