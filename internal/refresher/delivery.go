package refresher

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	sinkRetryFirst = 500 * time.Millisecond
	sinkRetryLast  = 20 * time.Second // a sink has converged within half a minute of its cause being gone
	// Repairs are free until there have been this many within fightSpan; then
	// somebody else owns the place too, and repairs wait ever longer.
	fightRepairs = 3
	fightSpan    = 30 * time.Second
	fightLast    = 5 * time.Minute
)

// delivery is a sink's mailbox: one slot, the latest generation wins. Its retries
// are its own.
type delivery struct {
	entry    *entry
	spec     *SinkSpec // in a Spec, which is immutable
	held     holding   // what the sink is known to hold; zero for nothing
	written  time.Time
	answered time.Time // when the answer that it waits for was read
	queued   bool
	running  bool
	again    bool // asked for while running
	drifted  bool // somebody else may have changed the sink
	gone     bool // no longer configured
	leaving  bool // its token has retired: the write under way is the last
	failures int
	mending  *mending // nil until it was needed
	problem  *token.Problem
	retry    alarm
	unwatch  func()

	coming  *coming // a generation that is staged while its record is being saved
	lane    *lane   // that waits for it to land; nil for none
	removal Remover // to run once the write under way has ended
}

// mending is what is known of somebody else who changes the sink.
type mending struct {
	repairs uint64
	fights  int // repairs in a row that came too soon
	last    time.Time
}

// repairs is how often foreign changes were put back.
func (d *delivery) repairs() uint64 {
	if d.mending == nil {
		return 0
	}
	return d.mending.repairs
}

// holding names what a sink holds, without keeping it.
type holding struct {
	generation      uint64
	issued, expires int64 // nanoseconds; both, because a server may hand out a token again
}

func holdingOf(t token.Token) holding {
	return holding{generation: t.Generation, issued: t.IssuedAt.UnixNano(), expires: t.ExpiresAt.UnixNano()}
}

// coming is a generation whose record is not durable yet.
type coming struct {
	token     token.Token
	persisted chan struct{} // closed once it may be published
	dropped   bool          // set before persisted is closed: it must not be published
}

func newDelivery(e *entry, s *SinkSpec) *delivery {
	d := &delivery{entry: e, spec: s, unwatch: func() {}}
	d.retry.wakes = d
	return d
}

// watch begins to listen for foreign changes. Called without the lock.
func (r *Refresher) watch(d *delivery) {
	w, ok := d.spec.Sink.(Watcher)
	if !ok {
		return
	}
	stop, err := w.Watch(func() { r.drift(d) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		d.problem = problemOf(err, r.now())
		return
	}
	d.unwatch = stop
	if d.gone {
		stop()
	}
}

// drift looks at a sink again, at once or, in a fight, after a while.
func (r *Refresher) drift(d *delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d.gone || r.draining || (d.held == holding{}) {
		return
	}
	d.drifted = true
	if wait := d.truce(r.now()); wait > 0 {
		if d.retry.index == 0 {
			r.set(&d.retry, r.now().Add(wait))
		}
		return
	}
	r.deliver(d)
}

// truce is how long a repair has to wait: nothing, unless there were many.
func (d *delivery) truce(now time.Time) time.Duration {
	m := d.mending
	if m == nil || m.fights < fightRepairs {
		return 0
	}
	return m.last.Add(doubled(time.Second, fightLast, m.fights-fightRepairs)).Sub(now)
}

// deliver asks for a write, with the lock held.
func (r *Refresher) deliver(d *delivery) {
	switch {
	case d.gone || d.queued || d.entry.rec.AccessToken.IsEmpty():
	case d.running:
		d.again = true
	default:
		d.queued = true
		r.enqueue(d.spec.Kind, d)
	}
}

func (d *delivery) wake(r *Refresher, _ time.Time) { r.deliver(d) }

// begin implements job.
func (d *delivery) begin(r *Refresher, now time.Time) func(ctx context.Context) {
	d.queued = false
	if d.gone {
		r.landed(d)
		return nil
	}
	if !r.holds(d.entry.spec.Name) {
		d.coming = nil
		r.landed(d)
		if d.leaving {
			r.dismiss(d, false)
			r.parted(d.entry)
		} else {
			r.set(&d.retry, now.Add(standbyFor))
		}
		return nil
	}
	d.running = true
	repair := d.drifted
	d.drifted = false
	r.alarms.clear(&d.retry)
	t, answered := d.entry.rec.Token, d.answered
	c := d.coming
	if c != nil {
		t = c.token
	}
	return func(ctx context.Context) {
		started := r.now()
		changed, err := r.write(ctx, d, t, c)
		r.delivered(d, t, outcome{changed: changed, repair: repair && d.held == holdingOf(t), started: started, answered: answered, err: err})
	}
}

// stage begins to deliver a generation whose record is about to be saved, to the
// sinks that can prepare it unseen. They publish when it is durable. The lock is
// held.
func (r *Refresher) stage(t *try) {
	for _, d := range t.entry.deliveries {
		if _, ok := d.spec.Sink.(Stager); ok && !d.gone && !d.queued && !d.running {
			d.coming, d.answered = t.coming, t.read
			d.queued = true
			d.lane = t.lane
			d.lane.settling++
			r.enqueue(d.spec.Kind, d)
		}
	}
}

// publish stages a generation, and makes it visible once its record is durable.
func (r *Refresher) publish(ctx context.Context, d *delivery, c *coming) (changed bool, err error) {
	show, discard, err := d.spec.Sink.(Stager).Stage(ctx, c.token)
	<-c.persisted
	if err != nil {
		return false, err
	}
	defer discard()
	if c.dropped || !r.holds(d.entry.spec.Name) {
		return false, ErrStandby
	}
	return show(ctx)
}

// write calls the sink. A panic in one sink is its failure alone.
func (r *Refresher) write(ctx context.Context, d *delivery, t token.Token, c *coming) (changed bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a defect in tokend: %T", p)
			r.emit(Event{Kind: Panicked, Token: d.entry.spec.Name, Target: d.spec.Target, Err: err, Detail: string(debug.Stack())})
		}
	}()
	switch {
	case c != nil:
		return r.publish(ctx, d, c)
	case !r.holds(d.entry.spec.Name):
		return false, ErrStandby
	}
	return d.spec.Sink.Write(ctx, t)
}

type outcome struct {
	changed, repair bool
	started         time.Time
	answered        time.Time // when the answer that it waited for was read, at its beginning
	err             error
}

// delivered notes what a write did, with the lock not held.
func (r *Refresher) delivered(d *delivery, t token.Token, o outcome) {
	r.mu.Lock()
	now := r.now()
	e := d.entry
	ev := Event{At: now, Token: e.spec.Name, Provider: e.spec.Provider, Generation: t.Generation, ExpiresAt: t.ExpiresAt,
		SinkKind: d.spec.Kind, Target: d.spec.Target, Took: now.Sub(o.started), Err: o.err,
		Course: Course{Answered: o.answered}}
	d.running = false
	d.coming = nil
	r.landed(d)
	switch {
	case errors.Is(o.err, ErrStandby):
		d.drifted = d.drifted || o.repair
		r.set(&d.retry, now.Add(standbyFor))
	case o.err != nil:
		ev.Kind = SinkFailed
		d.failures++
		d.drifted = d.drifted || o.repair
		d.problem = problemOf(o.err, now)
		wait := doubled(sinkRetryFirst, sinkRetryLast, d.failures-1)
		wait = max(wait/2+scale(wait/2, phase(d.spec.Target, uint64(d.failures))), retryAfter(o.err))
		r.set(&d.retry, now.Add(wait))
	case !o.changed:
		ev.Kind = SinkUnchanged
		d.holds(t, o.answered)
	default:
		ev.Kind = SinkWritten
		if o.repair {
			ev.Kind = d.repairedAt(now)
		} else if !o.answered.IsZero() {
			ev.SinceAnswer = now.Sub(o.answered)
		}
		d.holds(t, o.answered)
		d.written = now
		if e.hook != nil && !o.repair {
			e.hook.wanted = true
		}
	}
	switch {
	case d.gone:
		r.succeed(d)
	case d.leaving:
		r.dismiss(d, false)
	case d.again || o.err == nil && d.held != holdingOf(e.rec.Token):
		d.again = false
		r.deliver(d)
	}
	r.settled(e)
	r.parted(e)
	r.broadcast()
	r.mu.Unlock()
	if ev.Kind != "" {
		r.emit(ev)
	}
}

// retryAfter is what a server has asked to wait, within reason.
func retryAfter(err error) time.Duration {
	asked, ok := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err)
	if !ok {
		return 0
	}
	return min(max(asked.RetryAfter(), 0), time.Hour)
}

// succeed lets what comes after a dismissed sink act on its place: the removal,
// or the sink that is configured there now.
func (r *Refresher) succeed(d *delivery) {
	if d.removal != nil {
		r.enqueue(d.spec.Kind, removal{d: d, remover: d.removal})
		return
	}
	for _, other := range d.entry.deliveries {
		if other.spec.place() == d.spec.place() {
			r.deliver(other)
		}
	}
}

// holds notes what the sink holds. A newer answer may have come during the write,
// and is still waited for.
func (d *delivery) holds(t token.Token, answered time.Time) {
	d.held, d.failures, d.problem = holdingOf(t), 0, nil
	if d.answered.Equal(answered) {
		d.answered = time.Time{}
	}
}

// repairedAt counts a repair and tells whether it looks like a fight.
func (d *delivery) repairedAt(now time.Time) Kind {
	if d.mending == nil {
		d.mending = &mending{}
	}
	m := d.mending
	m.repairs++
	if now.Sub(m.last) > fightSpan+2*doubled(time.Second, fightLast, max(0, m.fights-fightRepairs)) {
		m.fights = 0
	}
	m.fights++
	m.last = now
	if m.fights > fightRepairs {
		return SinkFight
	}
	return SinkRepaired
}

// settled runs the hook once every sink holds the generation or has failed at it.
func (r *Refresher) settled(e *entry) {
	if e.spec.Hook == nil || e.retired {
		return
	}
	holders := len(e.deliveries)
	for _, d := range e.deliveries {
		if d.queued || d.running {
			return
		}
		if d.held.generation != e.rec.Generation {
			holders--
		}
	}
	if holders == 0 && len(e.deliveries) > 0 {
		return
	}
	if e.hook.wanted || e.notified() < e.rec.Generation {
		e.hook.wanted = false
		r.notify(e.hook)
	}
}
