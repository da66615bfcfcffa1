package devserver

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// The grants that the APIs document; operator_password is Rator's own.
const (
	grantClient   = "client_credentials"
	grantPassword = "password"
	grantOperator = "operator_password"
	grantRefresh  = "refresh_token"
)

// demand is a token request whose shape was found in order.
type demand struct {
	grant, clientID    string
	username, password string
	refreshToken       string
}

// issued is what a token request brought.
type issued struct {
	access, refresh string // refresh is empty where the grant has none
	id              string // a JWT's jti
	account         string
	expiresIn       int // seconds
}

// refusal is a request that was not granted. Its text goes to the client and to
// the live view, so it names parameters and never their values.
type refusal struct {
	status  int
	code    string
	text    string
	account string
	reuse   bool
}

func badRequest(format string, args ...any) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", text: fmt.Sprintf(format, args...)}
}

// rules is what the APIs differ in once a request was read.
type rules struct {
	grants      []string // that are served
	refreshable []string // whose answer carries a refresh token
	rotates     bool
	countsDown  bool // expires_in is what is left, not the lifetime that was set
	badLogin    refusal
	badRefresh  refusal
	mint        func(s *Server, d demand, account string, expires time.Time) (access, id string, err error)
	mintRefresh func() string
}

// grant carries out a demand: check, commit, answer.
func (s *Server) grant(api API, d demand) (*issued, *refusal) {
	rule := rulesOf(api)
	if !slices.Contains(rule.grants, d.grant) {
		return nil, &refusal{status: http.StatusBadRequest, code: "unsupported_grant_type", text: "this API documents no such grant_type"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	if d.grant == grantRefresh {
		return s.refresh(api, rule, d, now)
	}
	return s.login(api, rule, d, now)
}

func (s *Server) login(api API, rule rules, d demand, now time.Time) (*issued, *refusal) {
	name := d.clientID
	if d.grant != grantClient {
		a := s.books[api].account(d.username)
		if a == nil || a.password != d.password || a.grant != d.grant {
			no := rule.badLogin
			if a != nil {
				no.account = a.name
			}
			return nil, &no
		}
		name = a.name
	}
	f := &family{API: api, Grant: d.grant, Client: d.clientID, Account: name, Touched: now}
	out, no := s.hand(rule, f, d, now)
	if no != nil {
		return nil, no
	}
	if slices.Contains(rule.refreshable, d.grant) {
		out.refresh = rule.mintRefresh()
		f.Refresh = digestOf(out.refresh)
	}
	s.ledger.add(f)
	s.save()
	return out, nil
}

// refresh spends a refresh token. One that was spent before may have been
// stolen, so its family ends: RFC 9700 section 4.14.2.
func (s *Server) refresh(api API, rule rules, d demand, now time.Time) (*issued, *refusal) {
	spent := digestOf(d.refreshToken)
	no := rule.badRefresh
	if f := s.ledger.superseded[spent]; f != nil && f.API == api {
		no.account, no.reuse = f.Account, true
		no.text = "the refresh token was used before: its family is revoked"
		s.ledger.revoke(f)
		s.save()
		return nil, &no
	}
	f := s.ledger.refresh[spent]
	if f == nil || f.API != api || f.Client != d.clientID || now.Sub(f.Touched) > idleLifetime {
		return nil, &no
	}
	if rule.rotates && !s.options.KeepPrevious {
		s.ledger.killAccess(f)
	}
	out, failed := s.hand(rule, f, d, now)
	if failed != nil {
		return nil, failed
	}
	out.refresh = d.refreshToken
	if rule.rotates {
		out.refresh = rule.mintRefresh()
		s.ledger.rotate(f, digestOf(out.refresh))
	}
	f.Touched = now
	s.save()
	return out, nil
}

// hand gives the family a new access token.
func (s *Server) hand(rule rules, f *family, d demand, now time.Time) (*issued, *refusal) {
	expires := now.Add(s.options.Lifetime)
	access, id, err := rule.mint(s, d, f.Account, expires)
	if err != nil {
		s.options.Logger.Error("development server cannot make a token", "error", err)
		return nil, &refusal{status: http.StatusInternalServerError, code: "server_error", text: "the token could not be made"}
	}
	s.ledger.grantAccess(f, digestOf(access), expires)
	left := s.options.Lifetime
	if rule.countsDown {
		left = max(0, left-time.Millisecond)
	}
	return &issued{access: access, id: id, account: f.Account, expiresIn: int(left / time.Second)}, nil
}
