package refresher

import (
	"context"
	"sync"
	"time"
)

const (
	// maxNap bounds a sleep: timers stand still while a machine is suspended,
	// and do not follow a clock that is stepped.
	maxNap = 30 * time.Second
	// slackShare is the part of a lifetime by which a refresh may start before it is
	// planned, up to mostSlack, to go along with one that is due: what is answered
	// together is committed and synced together, which costs a fraction of doing it
	// one by one, and a process that is roused less often sleeps better.
	slackShare = 0.01
	mostSlack  = 400 * time.Millisecond
	// company bounds how many go along.
	company = 256
	// stepTolerance is how far wall clock and monotonic clock may drift apart
	// within a nap before it counts as a step.
	stepTolerance = 2 * time.Second
	// drainFor is how long deliveries and logins may go on after Run's context
	// has ended. A refresh that is in flight is always waited for.
	drainFor = 5 * time.Second
)

// Options are what a Refresher needs.
type Options struct {
	Store     Store
	Observers []Observer

	// Writers bounds the writes in flight for each kind of sink. Kinds that are
	// absent get 64.
	Writers map[string]int

	// Owns tells which tokens this process is to keep; nil means all of them.
	// When its answer changes, Reown is to be called. MayAct tells whether the
	// process may send a request or write a sink for a token at this instant; nil
	// means always. Both are called often, from any goroutine, and must not block.
	Owns, MayAct func(name string) bool

	// Beat, unless it is nil, is called by the loop, and by nothing else, each time
	// it has gone round, which is at least every BeatEvery where that is positive.
	// It must not block: what the loop waits for, every token waits for.
	Beat      func()
	BeatEvery time.Duration

	// Now reads the wall clock; nil means time.Now. Waits use package time.
	Now func() time.Time
}

// Refresher keeps a set of tokens fresh while Run runs. All methods are safe
// for concurrent use.
type Refresher struct {
	store     Store
	gatherer  Gatherer // the store, where it is one
	observers []Observer
	writers   map[string]int
	wallClock func() time.Time
	owns      func(name string) bool // nil: all
	mayAct    func(name string) bool // nil: always
	beat      func()
	beatEvery time.Duration

	// Run gives a login up when it has waited for it for a while: a login spends
	// nothing. All else ends by its deadline alone.
	logins *terms // set by Run
	others *terms

	kick    chan struct{}      // an alarm was set that may be the first
	pings   chan chan struct{} // closed after a round, for those who ask whether there still are any
	workers sync.WaitGroup     // attempts, which end by their deadlines
	jobs    sync.WaitGroup     // writes, hooks and probes, which a broken disk may hold up

	applying sync.Mutex // one Apply, or one deletion of a record, at a time; taken before mu

	mu       sync.Mutex
	specs    []*Spec             // all that are configured, whoever keeps them
	limits   map[string]Limits   // by provider
	leaving  map[*entry]struct{} // let go of, with something still in flight
	reread   reread
	entries  map[string]*entry
	lanes    map[string]*lane
	pools    map[string]*pool
	alarms   alarms
	touched  map[*lane]struct{} // lanes that got work since the last round
	running  bool
	draining bool
	changed  chan struct{} // closed and replaced when something changed, for those who wait
	watched  int           // how many wait
	lastWall time.Time
	lastMono time.Time
	steps    time.Duration // how far the clock has been set back since the start
}

// New returns a Refresher without tokens.
func New(o Options) *Refresher {
	r := &Refresher{
		store: o.Store, observers: o.Observers, writers: o.Writers, wallClock: o.Now,
		owns: o.Owns, mayAct: o.MayAct, beat: o.Beat, beatEvery: o.BeatEvery,
		leaving: map[*entry]struct{}{},
		kick:    make(chan struct{}, 1),
		pings:   make(chan chan struct{}),
		entries: map[string]*entry{},
		lanes:   map[string]*lane{},
		pools:   map[string]*pool{},
		touched: map[*lane]struct{}{},
		others:  &terms{parent: context.Background()},
		changed: make(chan struct{}),
	}
	r.gatherer, _ = o.Store.(Gatherer)
	if r.wallClock == nil {
		r.wallClock = time.Now
	}
	if r.beat == nil {
		r.beat = func() {}
	}
	if r.beatEvery <= 0 {
		r.beatEvery = maxNap
	}
	r.reread.alarm.wakes = &r.reread
	r.lastWall, r.lastMono = r.now(), time.Now()
	return r
}

// now is the wall clock without a monotonic reading, so that instants compare
// as a suspended machine's user would compare them.
func (r *Refresher) now() time.Time { return r.wallClock().Round(0) }

// Run works until ctx ends. It then admits nothing more, lets the attempts in
// flight finish and commit, delivers what they brought, and returns.
func (r *Refresher) Run(ctx context.Context) {
	logins, abandon := context.WithCancel(context.Background())
	defer abandon()
	r.mu.Lock()
	r.running = true
	r.logins = &terms{parent: logins}
	for _, p := range r.pools {
		r.staff(p)
	}
	r.mu.Unlock()
	r.loop(ctx)

	late := time.AfterFunc(drainFor, abandon)
	defer late.Stop()
	r.workers.Wait()
	r.stop()
}

func (r *Refresher) loop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		var asked chan struct{}
		select {
		case <-ctx.Done():
			r.mu.Lock()
			r.draining = true
			r.mu.Unlock()
			return
		case <-timer.C:
		case <-r.kick:
		case asked = <-r.pings:
		}
		timer.Reset(r.round())
		r.beat()
		if asked != nil {
			close(asked)
		}
	}
}

// round wakes everything that is due and returns how long to sleep.
func (r *Refresher) round() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.notice(now)
	for a := r.alarms.due(now); a != nil; a = r.alarms.due(now) {
		a.wakes.wake(r, now)
	}
	for range company * min(1, len(r.touched)) {
		e := r.soon(now)
		if e == nil {
			break
		}
		e.wake(r, now)
	}
	for l := range r.touched {
		delete(r.touched, l)
		r.admit(l, now)
	}
	nap := min(maxNap, r.beatEvery)
	if first := r.alarms.first(); !first.IsZero() {
		nap = min(nap, max(0, first.Sub(now)))
	}
	return nap
}

// soon takes a token whose regular refresh is due soon enough to go along
// with those that are due now.
func (r *Refresher) soon(now time.Time) *entry {
	if len(r.alarms) == 0 {
		return nil
	}
	e, ok := r.alarms[0].alarm.wakes.(*entry)
	if !ok || e.failures > 0 || e.floor.After(now) || e.next.at.After(now.Add(e.slack())) {
		return nil
	}
	r.alarms.due(e.next.at)
	return e
}

// notice compares the wall clock with the monotonic one. Time does not run
// backwards: when the wall clock did, every planned instant and every token's
// times move with it, so that nothing seems to live longer than it does. A jump
// ahead may be a suspend, in which tokens really aged; it is taken as it comes.
func (r *Refresher) notice(now time.Time) {
	mono := time.Now()
	step := now.Sub(r.lastWall) - mono.Sub(r.lastMono)
	r.lastWall, r.lastMono = now, mono
	if step.Abs() < stepTolerance {
		return
	}
	if step < 0 {
		r.steps += step
		r.alarms.shift(step)
		for _, e := range r.entries {
			e.shift(step)
		}
		for _, l := range r.lanes {
			l.shift(step)
		}
	}
	r.jobs.Go(func() { r.emit(Event{Kind: ClockStepped, At: now, Took: step}) })
}

// settleClock looks at the clock, with the lock held, and moves the times of an
// attempt that was on the road while it was set back.
func (r *Refresher) settleClock(t *try) (now time.Time) {
	now = r.now()
	r.notice(now)
	if d := r.steps - t.steps; d != 0 {
		for _, at := range []*time.Time{&t.started, &t.read, &t.rec.IssuedAt, &t.rec.ExpiresAt} {
			if !at.IsZero() {
				*at = at.Add(d)
			}
		}
	}
	return now
}

func (e *entry) shift(d time.Duration) {
	for _, t := range []*time.Time{&e.rec.IssuedAt, &e.rec.ExpiresAt, &e.floor, &e.fruitful, &e.expiredAt, e.due} {
		if t != nil && !t.IsZero() {
			*t = t.Add(d)
		}
	}
	if !e.busy && e.next.index == 0 && !e.next.at.IsZero() {
		e.next.at = e.next.at.Add(d)
	}
}

// set plans a wake-up, and rouses the loop when it is the first one.
func (r *Refresher) set(a *alarm, at time.Time) {
	if a.index != 0 && a.at.Equal(at) {
		return
	}
	r.alarms.set(a, at)
	if a.index == 1 {
		r.rouse()
	}
}

func (r *Refresher) rouse() {
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// admit starts workers for what the lane lets go now.
func (r *Refresher) admit(l *lane, now time.Time) {
	for len(l.waiting) > 0 && !r.draining && r.running {
		ok, again := l.admit(now)
		if !ok {
			if !again.IsZero() {
				r.set(&l.alarm, again)
			}
			return
		}
		if t := r.launch(l); t != nil {
			r.workers.Go(func() { r.work(l, t) })
		}
	}
}

// launch begins an attempt that the lane has admitted. It returns nil when there
// is no need of it any more.
func (r *Refresher) launch(l *lane) *try {
	e := l.take()
	e.busy = true
	t := r.begin(e, l)
	if t == nil {
		return nil
	}
	l.inFlight++
	l.unanswered++
	l.sent++
	if t.kind == refresh && r.gatherer != nil {
		t.awaited = true
		r.expect(1)
	}
	return t
}

// work walks the road with t, and then with whatever the lane admits next.
func (r *Refresher) work(l *lane, t *try) {
	for t != nil {
		r.attempt(t, l)
		r.mu.Lock()
		t = r.proceed(l)
		r.mu.Unlock()
	}
}

// proceed hands a worker that has finished its lane's next attempt.
func (r *Refresher) proceed(l *lane) *try {
	l.inFlight--
	l.fit(r.now())
	for len(l.waiting) > 0 && !r.draining {
		ok, again := l.admit(r.now())
		if !ok {
			if !again.IsZero() {
				r.set(&l.alarm, again)
			}
			return nil
		}
		if t := r.launch(l); t != nil {
			r.admit(l, r.now()) // the window may have grown
			return t
		}
	}
	return nil
}

// stop delivers what is still due, and ends the watches.
func (r *Refresher) stop() {
	r.mu.Lock()
	unsaved := []*entry{}
	for _, e := range r.entries {
		if e.unsaved && !e.busy {
			unsaved = append(unsaved, e)
		}
		for _, d := range e.deliveries {
			r.jobs.Go(d.unwatch)
		}
	}
	r.mu.Unlock()
	for _, e := range unsaved {
		r.saveAgain(e)
	}
	r.drain()
	r.mu.Lock()
	r.running = false
	r.mu.Unlock()
}

// broadcast wakes those who wait for a change.
func (r *Refresher) broadcast() {
	if r.watched > 0 {
		close(r.changed)
		r.changed = make(chan struct{})
	}
}
