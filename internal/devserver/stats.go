package devserver

import (
	"slices"
	"time"
)

// Outcome is what became of a request.
type Outcome string

// The outcomes of token requests, then of resource requests, then of both.
const (
	LoggedIn     Outcome = "logged in"
	Refreshed    Outcome = "refreshed"
	Reused       Outcome = "reuse" // refused: a superseded refresh token came back, and its family was revoked
	Accepted     Outcome = "accepted"
	Unauthorized Outcome = "unauthorized"
	Refused      Outcome = "refused"
	Faulted      Outcome = "fault" // met an outage that was set
)

// Request is one request as the statistics remember it. It holds no secret.
type Request struct {
	At      time.Time
	API     API
	Grant   string // the grant_type when it is a documented one, "other", "resource", or empty when unread
	Account string // who, when known: a username, or a client_id for client_credentials
	Status  int    // of the answer; 0 when a fault dealt with the request
	Outcome Outcome
	Detail  string // why, for a refusal or fault
}

// Counts are what one API has seen since the server started.
type Counts struct {
	API          API
	Logins       uint64 // granted
	Refreshes    uint64 // granted
	Refusals     uint64 // refused or malformed, reuses included
	Reuses       uint64 // superseded refresh tokens that were presented
	Accepted     uint64 // resource requests with a live token
	Unauthorized uint64 // resource requests without
	Faults       uint64 // requests that met an outage
	Mode         Mode   // of the outage in force; Working without
}

// TokenRequests is the number of token requests that reached the server in
// working order.
func (c Counts) TokenRequests() uint64 { return c.Logins + c.Refreshes + c.Refusals }

// Stats is a snapshot: the counts in the order of [APIs], and the 64 most recent
// requests, oldest first, without the accepted ones for a resource.
type Stats struct {
	Counts []Counts
	Recent []Request
}

// Of returns the counts of one API.
func (st Stats) Of(api API) Counts {
	for _, c := range st.Counts {
		if c.API == api {
			return c
		}
	}
	return Counts{API: api}
}

// keepRecent bounds the requests that are remembered.
const keepRecent = 64

type tally struct {
	counts map[API]*Counts
	recent []Request
}

func newTally() tally {
	t := tally{counts: map[API]*Counts{}}
	for _, api := range APIs() {
		t.counts[api] = &Counts{API: api}
	}
	return t
}

func (s *Server) count(api API, r Request) {
	s.options.Logger.Debug("development server answered", "api", string(api), "grant", r.Grant,
		"account", r.Account, "status", r.Status, "outcome", string(r.Outcome), "detail", r.Detail)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.At, r.API = s.options.Now(), api
	if r.Grant != resourceVisit || r.Outcome != Refused {
		s.tally.counts[api].add(r.Outcome)
	}
	if r.Outcome == Accepted {
		return // probes would crowd out everything else
	}
	s.tally.recent = append(s.tally.recent, r)
	if extra := len(s.tally.recent) - keepRecent; extra > 0 {
		s.tally.recent = slices.Delete(s.tally.recent, 0, extra)
	}
}

func (c *Counts) add(o Outcome) {
	switch o {
	case LoggedIn:
		c.Logins++
	case Refreshed:
		c.Refreshes++
	case Refused:
		c.Refusals++
	case Reused:
		c.Refusals++
		c.Reuses++
	case Accepted:
		c.Accepted++
	case Unauthorized:
		c.Unauthorized++
	case Faulted:
		c.Faults++
	}
}

// Stats returns what the server has seen since it started.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Stats
	for _, api := range APIs() {
		c := *s.tally.counts[api]
		if f := s.faults[api]; f != nil {
			c.Mode = f.Mode
		}
		st.Counts = append(st.Counts, c)
	}
	st.Recent = slices.Clone(s.tally.recent)
	return st
}
