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
		all = append(all, e.status(now, make([]token.SinkStatus, 0, len(e.deliveries))))
	}
	for _, s := range r.specs {
		if r.entries[s.Name] == nil {
			all = append(all, standing(s, []token.SinkStatus{}))
		}
	}
	slices.SortFunc(all, func(a, b token.Status) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// Each calls f for every token, in no order, without making a list of them first.
// f must be quick and must not call the Refresher. What it is given holds no secret
// and serves for the next token after it.
func (r *Refresher) Each(f func(*token.Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	var s token.Status
	for _, spec := range r.specs {
		if e := r.entries[spec.Name]; e != nil {
			s = e.status(now, s.Sinks[:0])
		} else {
			s = standing(spec, s.Sinks[:0])
		}
		f(&s)
	}
}

// standing is the status of a token that another replica keeps.
func standing(s *Spec, sinks []token.SinkStatus) token.Status {
	return token.Status{Name: s.Name, Provider: s.Provider, Grant: s.Grant, State: token.StateStandby, Sinks: sinks}
}

// status describes the token, its sinks in the given list.
func (e *entry) status(now time.Time, sinks []token.SinkStatus) token.Status {
	s := token.Status{
		Name: e.spec.Name, Provider: e.spec.Provider, Grant: e.spec.Grant,
		State: e.state(now), Generation: e.rec.Generation,
		IssuedAt: e.rec.IssuedAt, ExpiresAt: e.rec.ExpiresAt,
		InFlight: e.busy, Refreshable: e.usesRefresh(),
		Refreshes: e.refreshes, Logins: e.logins, Attempts: e.attempts, Failures: int(e.failures),
		LastSuccess: e.fruitful, LastError: e.problem,
		Sinks: sinks, Due: e.planned,
	}
	if !e.busy {
		s.NextAttempt, s.Due = e.next.at, e.next.at
	}
	if e.failures > 0 && e.due != nil {
		s.Due = *e.due
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
		WrittenAt: d.written, Repairs: d.repairs(), LastError: d.problem}
}
