package refresher

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Status describes every token, by name. It holds no secret.
func (r *Refresher) Status() []token.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	all := make([]token.Status, 0, len(r.specs))
	for _, e := range r.entries {
		all = append(all, e.status(now))
	}
	for _, s := range r.specs {
		if r.entries[s.Name] == nil {
			all = append(all, token.Status{Name: s.Name, Provider: s.Provider, Grant: s.Grant, State: token.StateStandby, Sinks: []token.SinkStatus{}})
		}
	}
	slices.SortFunc(all, func(a, b token.Status) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (e *entry) status(now time.Time) token.Status {
	s := token.Status{
		Name: e.spec.Name, Provider: e.spec.Provider, Grant: e.spec.Grant,
		State: e.state(now), Generation: e.rec.Generation,
		IssuedAt: e.rec.IssuedAt, ExpiresAt: e.rec.ExpiresAt,
		InFlight: e.busy, Refreshable: e.usesRefresh(),
		Refreshes: e.refreshes, Logins: e.logins, Attempts: e.attempts, Failures: e.failures,
		LastSuccess: e.fruitful, LastError: e.problem,
		Sinks: make([]token.SinkStatus, 0, len(e.deliveries)),
	}
	if !e.busy {
		s.NextAttempt = e.next.at
	}
	if k := e.choose(now); k != none && !e.next.at.IsZero() {
		s.NextKind = k.String()
	}
	for _, d := range e.deliveries {
		s.Sinks = append(s.Sinks, d.status())
	}
	if e.spec.Hook != nil {
		s.Hook = &token.HookStatus{Generation: e.notified(), RanAt: e.hook.at, LastError: e.hook.problem}
	}
	if e.spec.Probe != nil {
		s.Probe = &token.ProbeStatus{At: e.probe.at, OK: e.probe.ok, LastError: e.probe.problem}
	}
	return s
}

func (e *entry) state(now time.Time) token.State {
	switch {
	case e.dead:
		return token.StateHuman
	case !e.rec.Valid(now) && e.rec.AccessToken.IsEmpty():
		return token.StatePending
	case !e.rec.Valid(now):
		return token.StateExpired
	case e.failures > 0:
		return token.StateRetrying
	default:
		return token.StateFresh
	}
}

func (d *delivery) status() token.SinkStatus {
	return token.SinkStatus{Kind: d.spec.Kind, Target: d.spec.Target, Generation: d.held.generation,
		WrittenAt: d.written, Repairs: d.repairs, LastError: d.problem}
}
