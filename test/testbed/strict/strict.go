// Package strict is an authorization server without mercy for tests: the password
// grant begins a family, each refresh replaces the refresh token and kills the
// access token before it, and a refresh token that is shown twice ends its family.
// It keeps a journal of everything that it was shown.
package strict

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// Server is one on loopback. The mutex guards the fields after it: whoever looks
// at them while clients are about holds it.
type Server struct {
	*httptest.Server
	lifetime time.Duration

	sync.Mutex

	// Pace is called around each commit, so that a test decides how long the
	// answer takes before and after it.
	Pace func(committed bool)
	// ClientSecret is what a client has to prove by Basic; empty takes any.
	ClientSecret string
	Boot         int                // the test counts the daemon's starts here
	Families     map[string]*Family // the latest of each user
	ByRefresh    map[string]*Issue
	ByAccess     map[string]*Issue
	Journal      []Entry
	open         int // connections
}

// Family is what began with one login.
type Family struct {
	User    string
	Latest  *Issue
	Boot    int // in which the login came
	revoked bool
}

// Issue is one answer of a family: its sequence number and what was in it.
type Issue struct {
	Family          *Family
	Seq             int
	Access, Refresh string
	At              time.Time // when it was issued
	Ended           time.Time // when the next issue, or a reuse, ended the access token; zero before
	expires         time.Time
}

// Until is the end of the access token's life, as far as it is known. The mutex is
// held.
func (i *Issue) Until() time.Time {
	if !i.Ended.IsZero() && i.Ended.Before(i.expires) {
		return i.Ended
	}
	return i.expires
}

// The kinds of requests.
const (
	Login   = "login"
	Refresh = "refresh"
	Reuse   = "reuse"   // a refresh token that was presented before, or of an ended family
	Unknown = "unknown" // a refresh token that was never issued
	Client  = "client"  // a client that could not prove itself; nothing else was looked at
)

// Entry is one token request as the server understood it.
type Entry struct {
	Boot    int
	User    string
	Kind    string
	Refresh string // the refresh token that was presented

	Source  string    // whose request it was: its X-Replica header
	Arrived time.Time // before the first call of Pace
	Issued  *Issue    // the answer, nil for a refusal
}

// Start starts a server whose access tokens live for a whole number of seconds. It
// ends with the test.
func Start(t testing.TB, lifetime time.Duration) *Server {
	t.Helper()
	s := &Server{
		lifetime:  lifetime,
		Pace:      func(bool) {},
		Families:  map[string]*Family{},
		ByRefresh: map[string]*Issue{},
		ByAccess:  map[string]*Issue{},
	}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.token))
	s.Config.ConnState = s.connection
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func (s *Server) connection(_ net.Conn, state http.ConnState) {
	s.Lock()
	defer s.Unlock()
	switch state {
	case http.StateNew:
		s.open++
	case http.StateClosed, http.StateHijacked:
		s.open--
	}
}

// Settle waits until everything that a killed client had sent is dealt with.
func (s *Server) Settle(t testing.TB) {
	t.Helper()
	tokend.Await(t, 10*time.Second, "the server is done with the dead client", func() bool {
		s.Lock()
		defer s.Unlock()
		return s.open == 0
	})
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	s.Lock()
	pace := s.Pace
	s.Unlock()
	pace(false)
	status, body := s.answer(r, arrived)
	pace(true)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be dead
}

// answer decides, and completes the entry that this made in the journal.
func (s *Server) answer(r *http.Request, arrived time.Time) (int, map[string]any) {
	s.Lock()
	defer s.Unlock()
	n := len(s.Journal)
	status, body := s.decide(r)
	if len(s.Journal) > n {
		e := &s.Journal[n]
		e.Source, e.Arrived = r.Header.Get("X-Replica"), arrived
		if access, ok := body["access_token"].(string); ok {
			e.Issued = s.ByAccess[access]
		}
	}
	return status, body
}

func (s *Server) decide(r *http.Request) (int, map[string]any) {
	if !s.knows(r) {
		s.Note(Entry{Kind: Client})
		return http.StatusUnauthorized, map[string]any{"error": "invalid_client"}
	}
	switch r.PostFormValue("grant_type") {
	case "password":
		user := r.PostFormValue("username")
		f := &Family{User: user, Boot: s.Boot}
		s.Families[user] = f
		s.Note(Entry{User: user, Kind: Login})
		return http.StatusOK, s.Issue(f)
	case "refresh_token":
		return s.Refresh(r.PostFormValue("refresh_token"))
	default:
		return http.StatusBadRequest, map[string]any{"error": "unsupported_grant_type"}
	}
}

// knows judges a client, which form-encodes before Basic (RFC 6749 section 2.3.1).
func (s *Server) knows(r *http.Request) bool {
	_, shown, _ := r.BasicAuth()
	secret, err := url.QueryUnescape(shown)
	return s.ClientSecret == "" || err == nil && secret == s.ClientSecret
}

// Refresh does what a refresh request does. The mutex is held.
func (s *Server) Refresh(presented string) (int, map[string]any) {
	refused := map[string]any{"error": "invalid_grant"}
	found, ok := s.ByRefresh[presented]
	switch {
	case !ok:
		s.Note(Entry{Kind: Unknown, Refresh: presented})
		return http.StatusBadRequest, refused
	case found.Family.revoked || found.Family.Latest != found:
		s.Note(Entry{User: found.Family.User, Kind: Reuse, Refresh: presented})
		if !found.Family.revoked {
			found.Family.revoked, found.Family.Latest.Ended = true, time.Now()
		}
		return http.StatusBadRequest, refused
	}
	s.Note(Entry{User: found.Family.User, Kind: Refresh, Refresh: presented})
	return http.StatusOK, s.Issue(found.Family)
}

// Issue makes the next answer of a family. The mutex is held.
func (s *Server) Issue(f *Family) map[string]any {
	now := time.Now()
	next := &Issue{Family: f, Access: "at-" + rand.Text(), Refresh: "rt-" + rand.Text(), At: now, expires: now.Add(s.lifetime)}
	if f.Latest != nil {
		next.Seq, f.Latest.Ended = f.Latest.Seq+1, now
	}
	f.Latest = next
	s.ByRefresh[next.Refresh], s.ByAccess[next.Access] = next, next
	return map[string]any{
		"access_token": next.Access, "refresh_token": next.Refresh,
		"token_type": "Bearer", "expires_in": int(s.lifetime / time.Second),
	}
}

// Note puts an entry into the journal. The mutex is held.
func (s *Server) Note(e Entry) {
	e.Boot = s.Boot
	s.Journal = append(s.Journal, e)
}

// NextBoot counts a start of the daemon.
func (s *Server) NextBoot() {
	s.Lock()
	defer s.Unlock()
	s.Boot++
}

// Alive reports whether an access token is good (RFC 7662 calls it active).
func (s *Server) Alive(accessToken string) bool {
	s.Lock()
	defer s.Unlock()
	i, ok := s.ByAccess[accessToken]
	return ok && !i.Family.revoked && i.Family.Latest == i && time.Now().Before(i.expires)
}

// Introspect is Alive for who asks servers over the network too.
func (s *Server) Introspect(_ context.Context, accessToken string) (bool, error) {
	return s.Alive(accessToken), nil
}

// Requests is how many token requests there were.
func (s *Server) Requests() int {
	s.Lock()
	defer s.Unlock()
	return len(s.Journal)
}

// Count is how many of one kind there were.
func (s *Server) Count(kind string) int {
	s.Lock()
	defer s.Unlock()
	n := 0
	for _, e := range s.Journal {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// Secrets are all tokens that were ever issued.
func (s *Server) Secrets() []string {
	s.Lock()
	defer s.Unlock()
	var all []string
	for refresh := range s.ByRefresh {
		all = append(all, refresh)
	}
	for access := range s.ByAccess {
		all = append(all, access)
	}
	return all
}
