package refresher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	provers  = 16               // sinks that are proven at once
	proveFor = 10 * time.Second // and for how long a start waits for them
)

// Apply makes specs the set of tokens that are kept, and limits those of their
// providers. What did not change keeps its schedule and makes no request; a
// token that is gone finishes what is in flight and retires. Records of new
// tokens are loaded first: when the store fails at that, nothing is changed.
//
// With Options.Owns, that holds for the tokens that this process owns; the others
// are known by name and wait for [Refresher.Reown].
func (r *Refresher) Apply(ctx context.Context, specs []*Spec, limits map[string]Limits) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	was, wasLimits := r.specs, r.limits
	r.specs, r.limits = specs, limits
	r.mu.Unlock()
	if err := r.reapply(ctx); err != nil {
		r.mu.Lock()
		r.specs, r.limits = was, wasLimits
		r.mu.Unlock()
		return err
	}
	return nil
}

// reapply brings what runs into line with the specs and their ownership.
func (r *Refresher) reapply(ctx context.Context) error {
	records := map[string]token.Record{}
	var started []*delivery
	for swapped := false; !swapped; {
		if err := r.load(ctx, records); err != nil {
			return err
		}
		r.mu.Lock()
		// A token that retired while the records were loaded has one by now.
		mine := r.mine()
		if swapped = len(r.unloaded(mine, records)) == 0; swapped {
			started = r.swap(mine, records)
		}
		r.mu.Unlock()
	}
	r.rouse()
	for _, d := range started {
		r.watch(d)
	}
	r.start(ctx, started)
	for name, rec := range records {
		if rec.Valid(r.now()) {
			r.emit(Event{Kind: Resumed, Token: name, Generation: rec.Generation, ExpiresAt: rec.ExpiresAt})
		}
	}
	return nil
}

// load adds the records of the tokens that do not run yet. One that is missing, or
// that the store has put aside as unreadable, costs a login and nothing else.
func (r *Refresher) load(ctx context.Context, records map[string]token.Record) error {
	r.mu.Lock()
	names := r.unloaded(r.mine(), records)
	r.mu.Unlock()
	if p, ok := r.store.(Prefetcher); ok && len(names) > 1 {
		if err := p.Prefetch(ctx, names); err != nil {
			return fmt.Errorf("loading the records of %d tokens: %w", len(names), err)
		}
	}
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

// swap makes specs the set of tokens that run, with the lock held, and returns
// the sinks that are new.
func (r *Refresher) swap(specs []*Spec, records map[string]token.Record) (started []*delivery) {
	r.notice(r.now())
	for name, l := range r.limits {
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
	configured := r.configured()
	for name, e := range r.entries {
		switch {
		case wanted[name] || e.retired:
		case configured[name]:
			r.letGo(e)
		default:
			r.retire(e)
		}
	}
	for name, l := range r.lanes {
		if _, ok := r.limits[name]; !ok && l.inFlight == 0 && len(l.waiting) == 0 {
			r.alarms.clear(&l.alarm)
			delete(r.lanes, name)
		}
	}
	r.broadcast()
	return started
}

// configured is the set of all names, with the lock held.
func (r *Refresher) configured() map[string]bool {
	names := make(map[string]bool, len(r.specs))
	for _, s := range r.specs {
		names[s.Name] = true
	}
	return names
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
	e.retired, e.released = false, false
	delete(r.leaving, e)
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
	places := map[place]bool{}
	for i := range specs {
		s := &specs[i]
		places[s.place()] = true
		d := old[s.Fingerprint]
		if d == nil {
			d = newDelivery(e, s)
			started = append(started, d)
		}
		delete(old, s.Fingerprint)
		e.deliveries = append(e.deliveries, d)
	}
	for _, d := range old {
		r.dismiss(d, d.spec.Remove && !places[d.spec.place()])
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

// start delivers current tokens to new sinks. Where there is none yet, it proves
// the sink writable before a credential is spent for it; sinks that are slow to
// answer are not waited for long.
func (r *Refresher) start(ctx context.Context, sinks []*delivery) {
	unproven := make(chan *delivery, len(sinks))
	for _, d := range sinks {
		if r.resume(d) {
			unproven <- d
		}
	}
	close(unproven)
	ctx, cancel := context.WithTimeout(ctx, proveFor)
	var all sync.WaitGroup
	for range min(provers, len(unproven)) {
		all.Go(func() {
			for d := range unproven {
				r.prove(ctx, d)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		all.Wait()
		cancel()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// resume asks for a write of the current token, and reports that there is none
// and that the sink can be proven.
func (r *Refresher) resume(d *delivery) (unproven bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.entry.rec.Valid(r.now()) {
		if !d.running && d.held != holdingOf(d.entry.rec.Token) { // a login may have been quicker
			r.deliver(d)
		}
		return false
	}
	_, ok := d.spec.Sink.(Checker)
	return ok
}

// prove checks a sink, unless the time for that is over.
func (r *Refresher) prove(ctx context.Context, d *delivery) {
	if ctx.Err() != nil {
		return
	}
	if err := d.spec.Sink.(Checker).Check(ctx); err != nil && ctx.Err() == nil {
		r.mu.Lock()
		d.problem = problemOf(err, r.now())
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
// goes too. What another replica is to keep stays in any case.
func (r *Refresher) settle(e *entry) {
	if e.released && e.unsaved { // what only this process holds must reach the store first
		r.planSave(e, 1)
		return
	}
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
		remove := d.spec.Remove && !e.released
		forget = forget || remove
		if remove || !d.queued && !d.running {
			r.dismiss(d, remove)
		} else {
			d.leaving = true
		}
	}
	ev, end := Event{Kind: Retired, Token: e.spec.Name}, ErrUnknown
	if e.released {
		ev.Kind, end = Released, ErrStandby
	}
	e.urgent = false
	r.answerWaiters(e, end)
	r.parted(e)
	r.jobs.Go(func() {
		if forget {
			r.forget(ev.Token)
		}
		r.emit(ev)
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
