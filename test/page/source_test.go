package page

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
)

// script is a daemon that does what it is told.
type script struct {
	mu     sync.Mutex
	status control.Status
}

// Status implements page.Source.
func (s *script) Status() control.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := s.status
	copied.Tokens = slices.Clone(s.status.Tokens)
	return copied
}

// edit changes one token; an unknown name makes a new one.
func (s *script) edit(name string, f func(t *token.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := slices.BinarySearchFunc(s.status.Tokens, name, func(t token.Status, name string) int { return strings.Compare(t.Name, name) })
	if !ok {
		s.status.Tokens = slices.Insert(s.status.Tokens, i, token.Status{Name: name, Sinks: []token.SinkStatus{}})
	}
	f(&s.status.Tokens[i])
}

func (s *script) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.Tokens = slices.DeleteFunc(s.status.Tokens, func(t token.Status) bool { return t.Name == name })
}

func (s *script) daemon(f func(d *control.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// canary stands in places that the page must leave out.
const canary = "canary-5f21c"

func daemonStatus(now time.Time, tokens []token.Status) control.Status {
	slices.SortFunc(tokens, func(a, b token.Status) int { return strings.Compare(a.Name, b.Name) })
	return control.Status{
		Version: "v1.4.0", PID: 4711, StartedAt: now.Add(-52*time.Hour - 7*time.Minute),
		Config:   control.ConfigStatus{Paths: []string{"/etc/tokend/" + canary}, LoadedAt: now.Add(-3 * time.Hour)},
		State:    control.StateStatus{Kind: "file", Location: "/var/lib/tokend/" + canary, Sealed: true},
		Delivery: control.DeliveryStats{Count: 18240, P50: 1.2, P90: 3.4, P99: 8.7},
		Tokens:   tokens,
	}
}

// six are tokens in all states.
func six() *script {
	now := time.Now()
	status := daemonStatus(now, []token.Status{
		fresh("shop-operator", now), retrying("billing-export", now), pending("warehouse-sync", now),
		expired("crm-contacts", now), human("bank-statements", now), standby("mail-archive"),
	})
	status.HA = &control.HAStatus{Identity: "tokend-1", Name: "tokend", Shards: 8, Held: []int{0, 3, 5}, Members: []string{"tokend-0", "tokend-1", "tokend-2"}}
	return &script{status: status}
}

func base(name, provider, grant string, state token.State, generation uint64, issued, expires time.Time) token.Status {
	return token.Status{Name: name, Provider: provider, Grant: grant, State: state, Generation: generation,
		IssuedAt: issued, ExpiresAt: expires, Refreshable: true, Refreshes: 41, Logins: 2, Attempts: 44, LastSuccess: issued, Sinks: []token.SinkStatus{}}
}

func file(path string, generation uint64, at time.Time) token.SinkStatus {
	return token.SinkStatus{Kind: "file", Target: path, Generation: generation, WrittenAt: at}
}

func fresh(name string, now time.Time) token.Status {
	s := base(name, "rator", "operator_password", token.StateFresh, 43, now.Add(-11*time.Minute), now.Add(49*time.Minute))
	s.NextAttempt, s.NextKind = now.Add(34*time.Minute), "refresh"
	s.Sinks = []token.SinkStatus{
		file("/run/tokend/rator/token", 43, now.Add(-11*time.Minute)),
		{Kind: "kubernetes_secret", Target: "shop/rator", Generation: 43, WrittenAt: now.Add(-11 * time.Minute), Repairs: 1},
	}
	s.Hook = &token.HookStatus{Generation: 43, RanAt: now.Add(-11 * time.Minute)}
	s.Probe = &token.ProbeStatus{At: now.Add(-20 * time.Second), OK: true}
	return s
}

func retrying(name string, now time.Time) token.Status {
	s := base(name, "invoices", "client_credentials", token.StateRetrying, 12, now.Add(-50*time.Minute), now.Add(10*time.Minute))
	s.NextAttempt, s.NextKind, s.Failures = now.Add(42*time.Second), "login", 3
	s.LastError = &token.Problem{At: now.Add(-9 * time.Second), Class: "not_sent", Code: "dial",
		Message: "token request not sent (dial): dial tcp 192.0.2.10:443: connect: connection refused"}
	s.Sinks = []token.SinkStatus{
		file("/run/tokend/billing/token", 12, now.Add(-50*time.Minute)),
		{Kind: "vault_kv", Target: "secret/apps/billing", Generation: 11, WrittenAt: now.Add(-110 * time.Minute),
			LastError: &token.Problem{At: now.Add(-30 * time.Second), Message: "write secret/apps/billing: Vault is sealed (HTTP 503)"}},
	}
	return s
}

func pending(name string, now time.Time) token.Status {
	s := token.Status{Name: name, Provider: "warehouse", Grant: "client_credentials", State: token.StatePending, InFlight: true, NextKind: "login", Attempts: 1}
	s.NextAttempt = now
	s.Sinks = []token.SinkStatus{file("/run/tokend/warehouse.env", 0, time.Time{})}
	return s
}

func expired(name string, now time.Time) token.Status {
	s := base(name, "crm", "password", token.StateExpired, 7, now.Add(-80*time.Minute), now.Add(-20*time.Minute))
	s.NextAttempt, s.NextKind, s.Failures = now.Add(7*time.Minute), "login", 9
	s.LastError = &token.Problem{At: now.Add(-3 * time.Minute), Class: "misconfigured", Code: "invalid_client",
		Message: `token request refused (oauth_error): HTTP 401: invalid_client: Client authentication failed <script>alert("x")</script>`}
	s.Sinks = []token.SinkStatus{file("/run/tokend/crm/token", 7, now.Add(-80*time.Minute))}
	return s
}

func human(name string, now time.Time) token.Status {
	s := base(name, "bank", "refresh_token", token.StateHuman, 3, now.Add(-55*time.Minute), now.Add(5*time.Minute))
	s.NextAttempt, s.Failures, s.Refreshable = time.Time{}, 1, false
	s.LastError = &token.Problem{At: now.Add(-time.Minute), Class: "rejected", Code: "invalid_grant",
		Message: "token request refused (oauth_error): HTTP 400: invalid_grant: refresh token is expired"}
	s.Sinks = []token.SinkStatus{file("/run/tokend/bank/token", 3, now.Add(-55*time.Minute))}
	return s
}

func standby(name string) token.Status {
	return token.Status{Name: name, Provider: "mail", Grant: "client_credentials", State: token.StateStandby}
}

// fleet are n tokens, as tenants have them, and a few in trouble.
func fleet(n int) *script {
	now := time.Now()
	all := make([]token.Status, 0, n)
	for i := range n {
		name := fmt.Sprintf("tenant-%05d", i)
		s := fresh(name, now.Add(-time.Duration(i%47)*time.Minute))
		switch {
		case i%2500 == 17:
			s = expired(name, now)
		case i%1000 == 3:
			s = retrying(name, now)
		}
		s.Hook, s.Probe = nil, nil
		all = append(all, s)
	}
	return &script{status: daemonStatus(now, all)}
}
