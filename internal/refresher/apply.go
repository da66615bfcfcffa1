package refresher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Apply makes specs the set of tokens that are kept, and limits those of their
// providers. What did not change keeps its schedule and makes no request; a
// token that is gone finishes what is in flight and retires. Records of new
// tokens are loaded first: when the store fails at that, nothing is changed.
func (r *Refresher) Apply(ctx context.Context, specs []*Spec, limits map[string]Limits) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	records := map[string]token.Record{}
	var started []*delivery
	for swapped := false; !swapped; {
		if err := r.load(ctx, specs, records); err != nil {
			return err
		}
		r.mu.Lock()
		// A token that retired while the records were loaded has one by now.
		if swapped = len(r.unloaded(specs, records)) == 0; swapped {
			started = r.swap(specs, limits, records)
		}
		r.mu.Unlock()
	}
	r.rouse()
	for _, d := range started {
		r.watch(d)
		r.start(ctx, d)
	}
	for name, rec := range records {
		if rec.Valid(r.now()) {
			r.emit(Event{Kind: Resumed, Token: name, Generation: rec.Generation, ExpiresAt: rec.ExpiresAt})
		}
	}
	return nil
}

// load adds the records of the tokens that do not run yet. One that is missing, or
// that the store has put aside as unreadable, costs a login and nothing else.
func (r *Refresher) load(ctx context.Context, specs []*Spec, records map[string]token.Record) error {
	r.mu.Lock()
	names := r.unloaded(specs, records)
	r.mu.Unlock()
	for _, name := range names {
		rec, err := r.store.Load(ctx, name)
		if err != nil && !errors.Is(err, token.ErrNoRecord) {
			return fmt.Errorf("loading the record of token %q: %w", name, err)
		}
		records[name] = rec
	}
	return nil
}

// unloaded names the tokens that neither run nor have their record loaded, with
// the lock held.
func (r *Refresher) unloaded(specs []*Spec, records map[string]token.Record) (names []string) {
	for _, s := range specs {
		if _, ok := records[s.Name]; !ok && r.entries[s.Name] == nil {
			names = append(names, s.Name)
		}
	}
	return names
}

// swap replaces the set of tokens, with the lock held, and returns the sinks
// that are new.
func (r *Refresher) swap(specs []*Spec, limits map[string]Limits, records map[string]token.Record) (started []*delivery) {
	r.notice(r.now())
	for name, l := range limits {
		if ln := r.lanes[name]; ln != nil {
			ln.configure(l)
			r.touched[ln] = struct{}{}
		} else {
			r.lanes[name] = newLane(l)
		}
	}
	wanted := make(map[string]bool, len(specs))
	for _, s := range specs {
		wanted[s.Name] = true
		e := r.entries[s.Name]
		if e == nil {
			e = r.enter(s, records[s.Name])
		} else {
			r.change(e, s)
		}
		started = append(started, r.resink(e, s.Sinks)...)
	}
	for name, e := range r.entries {
		if !wanted[name] && !e.retired {
			r.retire(e)
		}
	}
	for name, l := range r.lanes {
		if _, ok := limits[name]; !ok && l.inFlight == 0 && len(l.waiting) == 0 {
			r.alarms.clear(&l.alarm)
			delete(r.lanes, name)
		}
	}
	r.broadcast()
	return started
}

// enter takes up a token that did not run before.
func (r *Refresher) enter(s *Spec, rec token.Record) *entry {
	e := newEntry(s)
	r.entries[s.Name] = e
	now := r.now()
	e.adopt(rec, now)
	r.alarms.set(&e.next, e.next.at)
	r.planProbe(e)
	return e
}

// change gives a running token its new configuration. A worker that is on the
// road for it finishes under the old one.
func (r *Refresher) change(e *entry, s *Spec) {
	old := e.spec
	if !e.retired && sameButSinks(old, s) && sameSinks(e.deliveries, s.Sinks) {
		return
	}
	if e.place != 0 && old.Provider != s.Provider {
		e.lane(r).drop(e)
	}
	e.retired = false
	e.spec = s
	r.planProbe(e)
	if !e.busy {
		at := r.respec(e, old, e.next.at)
		if e.place == 0 {
			r.set(&e.next, at)
		}
	}
}

func sameButSinks(a, b *Spec) bool {
	return a.Provider == b.Provider && a.Binding == b.Binding && a.RequestPrint == b.RequestPrint &&
		a.PolicyPrint == b.PolicyPrint && a.HookPrint == b.HookPrint && a.ProbePrint == b.ProbePrint
}

func (r *Refresher) planProbe(e *entry) {
	e.equip()
	if e.probe == nil {
		return
	}
	e.probe.problem = nil
	if e.spec.Probe == nil {
		r.alarms.clear(&e.probe.alarm)
		return
	}
	if e.probe.alarm.index == 0 {
		r.set(&e.probe.alarm, r.now().Add(scale(e.spec.ProbeAt, phase(e.spec.Name, 0))))
	}
}

// respec returns when the next attempt is due after the configuration changed
// from old, given that it was due at the instant at.
func (r *Refresher) respec(e *entry, old *Spec, at time.Time) time.Time {
	now := r.now()
	seeded := e.seed()
	switch {
	case seeded || e.rec.Binding != e.spec.Binding && old.Binding != e.spec.Binding:
		// Another family: who logs in, where or for what is different.
		e.failures, e.floor, e.dead, e.wantLogin = 0, now, false, true
		return now
	case old.RequestPrint != e.spec.RequestPrint && (e.failures > 0 || e.rec.AccessToken.IsEmpty()):
		e.failures, e.floor = 0, now
		return now
	case old.PolicyPrint != e.spec.PolicyPrint && e.failures == 0 && !e.rec.AccessToken.IsEmpty():
		at, e.wantLogin = e.plan(now)
		return latest(at, e.floor)
	}
	if at.IsZero() && !e.dead {
		return now
	}
	return at
}

// resink matches the sinks that run with those that are wanted, with the lock
// held, and returns the new ones.
func (r *Refresher) resink(e *entry, specs []SinkSpec) (started []*delivery) {
	if sameSinks(e.deliveries, specs) {
		return nil
	}
	old := map[Fingerprint]*delivery{}
	for _, d := range e.deliveries {
		old[d.spec.Fingerprint] = d
	}
	e.deliveries = make([]*delivery, 0, len(specs))
	targets := map[string]bool{}
	for _, s := range specs {
		targets[s.Target] = true
		d := old[s.Fingerprint]
		if d == nil {
			d = newDelivery(e, s)
			started = append(started, d)
		}
		delete(old, s.Fingerprint)
		e.deliveries = append(e.deliveries, d)
	}
	for _, d := range old {
		r.dismiss(d, d.spec.Remove && !targets[d.spec.Target])
	}
	return started
}

func sameSinks(running []*delivery, specs []SinkSpec) bool {
	if len(running) != len(specs) {
		return false
	}
	for i, d := range running {
		if d.spec.Fingerprint != specs[i].Fingerprint {
			return false
		}
	}
	return true
}

// start delivers the current token to a new sink. Where there is none yet, it
// proves the sink writable before a credential is spent for it.
func (r *Refresher) start(ctx context.Context, d *delivery) {
	r.mu.Lock()
	now := r.now()
	if d.entry.rec.Valid(now) {
		if !d.running && d.held != holdingOf(d.entry.rec.Token) { // a login may have been quicker
			r.deliver(d)
		}
		r.mu.Unlock()
		return
	}
	r.mu.Unlock()
	c, ok := d.spec.Sink.(Checker)
	if !ok {
		return
	}
	if err := c.Check(ctx); err != nil {
		r.mu.Lock()
		d.problem = problemOf(err, now)
		name := d.entry.spec.Name
		r.mu.Unlock()
		r.emit(Event{Kind: SinkFailed, Token: name, SinkKind: d.spec.Kind, Target: d.spec.Target, Err: err})
	}
}

// dismiss ends a sink, and deletes what it holds where the user wants that.
func (r *Refresher) dismiss(d *delivery, remove bool) {
	d.gone = true
	r.alarms.clear(&d.retry)
	r.jobs.Go(d.unwatch)
	if rm, ok := d.spec.Sink.(Remover); ok && remove {
		r.enqueue(d.spec.Kind, removal{d: d, remover: rm})
	}
}

// retire ends a token, at once or when the attempt on the road is done.
func (r *Refresher) retire(e *entry) {
	e.retired = true
	r.alarms.clear(&e.next)
	if e.probe != nil {
		r.alarms.clear(&e.probe.alarm)
	}
	if e.hook != nil {
		r.alarms.clear(&e.hook.retry)
	}
	if e.place != 0 {
		e.lane(r).drop(e)
	}
	if !e.busy {
		r.settle(e)
	}
}

// settle forgets a retired token. Its last generation still reaches its sinks,
// which stay as they are unless the user wants them deleted; then its record
// goes too.
func (r *Refresher) settle(e *entry) {
	if r.entries[e.spec.Name] == e {
		delete(r.entries, e.spec.Name)
	}
	if e.save != nil {
		r.alarms.clear(&e.save.alarm)
	}
	if e.lapse != nil {
		r.alarms.clear(&e.lapse.alarm)
	}
	forget := false
	for _, d := range e.deliveries {
		forget = forget || d.spec.Remove
		if d.spec.Remove || !d.queued && !d.running {
			r.dismiss(d, d.spec.Remove)
		} else {
			d.leaving = true
		}
	}
	name := e.spec.Name
	e.urgent = false
	r.answerWaiters(e, ErrUnknown)
	r.jobs.Go(func() {
		if forget {
			r.forget(name)
		}
		r.emit(Event{Kind: Retired, Token: name})
	})
}

// forget deletes a retired token's record, unless the token has come back.
func (r *Refresher) forget(name string) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	_, back := r.entries[name]
	r.mu.Unlock()
	if back {
		return
	}
	if err := r.store.Delete(context.Background(), name); err != nil {
		r.emit(Event{Kind: StateFailed, Token: name, Err: err})
	}
}

// removal deletes what a sink held.
type removal struct {
	d       *delivery
	remover Remover
}

// begin implements job.
func (m removal) begin(r *Refresher, now time.Time) func(ctx context.Context) {
	if m.d.running { // its write ends first, and then asks for the removal again
		m.d.removal = m.remover
		return nil
	}
	spec := m.d.spec
	name := m.d.entry.spec.Name
	return func(ctx context.Context) {
		if err := m.remover.Remove(ctx); err != nil {
			r.emit(Event{Kind: SinkFailed, At: now, Token: name, SinkKind: spec.Kind, Target: spec.Target, Err: err})
		}
	}
}
