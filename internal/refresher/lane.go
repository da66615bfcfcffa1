package refresher

import (
	"container/heap"
	"time"

	"golang.org/x/time/rate"
)

// A lane admits requests to one provider. It is guarded by the Refresher's lock.
//
// Besides the configured limits it learns from the answers: the window of
// requests in flight halves with every attempt that met an outage and grows by
// one with every answer, so that an outage is probed by a few and left by all
// within some round trips, without a stampede; and after a 429 the lane pauses
// and then keeps to the rate that the server has been seen to grant.
type lane struct {
	limits     Limits
	limiter    *rate.Limiter // the configured rate
	waiting    queue
	inFlight   int   // attempts under way
	settling   int   // answers that are on their way from the record to a file
	window     int   // attempts that may be under way now, up to limits.Concurrency
	unanswered int   // attempts that have no answer yet
	wave       *wave // answers that wait for each other; nil for none

	size   int       // of a wave
	sent   int       // attempts of the present wave
	first  time.Time // when the first answers of the present wave went on; zero before
	ramp   int       // what may be in flight and settling, while the lane is getting up to speed
	ramped time.Time // when ramp was set

	alarm alarm

	resume   time.Time     // no request before
	pause    time.Duration // doubles while pauses bring nothing
	pacer    *rate.Limiter // the learned rate; nil for none
	since    time.Time     // when the count below began
	granted  int           // answers since then
	lastGrow time.Time
}

const (
	// A wave is as large as gets from its answers to its files within waveTime: the
	// more go together the less each costs, and the longer it waits for the others.
	firstWave = 16
	leastWave = 8
	mostWave  = 64
	waveTime  = 5 * time.Millisecond

	rampEvery = 50 * time.Millisecond
	maxRamp   = 1 << 20

	leastWindow = 4 // an outage is probed by this many at once, so that one hung probe does not hide its end
	firstPause  = time.Second
	longPause   = 10 * time.Second // a 429 may mean one client only; each token obeys its own Retry-After in full
	growEvery   = time.Second
	growBy      = 1.02
	unpaced     = 10_000 // requests per second beyond which a learned rate is forgotten
)

func newLane(l Limits) *lane {
	ln := &lane{size: firstWave}
	ln.configure(l)
	ln.window = ln.limits.Concurrency
	ln.alarm.wakes = ln
	return ln
}

func (l *lane) configure(limits Limits) {
	if l.limits == limits {
		return
	}
	limits.Concurrency = max(1, limits.Concurrency)
	l.limits = limits
	l.window = min(max(l.window, 1), limits.Concurrency)
	l.limiter = nil
	if limits.Rate > 0 {
		// A burst of a tenth of a second keeps the rate even at any scale.
		l.limiter = rate.NewLimiter(rate.Limit(limits.Rate), max(1, int(limits.Rate/10)))
	}
}

// admit tells whether a request may leave now, and if not, when to ask again;
// a zero instant means after the next answer.
func (l *lane) admit(now time.Time) (bool, time.Time) {
	if l.inFlight >= l.window {
		return false, time.Time{}
	}
	if again := l.climb(now); !again.IsZero() {
		return false, again
	}
	if now.Before(l.resume) {
		return false, l.resume
	}
	l.grow(now)
	for _, limiter := range []*rate.Limiter{l.limiter, l.pacer} {
		if limiter != nil && limiter.TokensAt(now) < 1 {
			short := (1 - limiter.TokensAt(now)) / float64(limiter.Limit())
			return false, now.Add(max(time.Duration(short*float64(time.Second)), time.Millisecond))
		}
	}
	for _, limiter := range []*rate.Limiter{l.limiter, l.pacer} {
		if limiter != nil {
			limiter.AllowN(now, 1)
		}
	}
	return true, time.Time{}
}

// climb lets attempts go in waves: each answer gets to its sinks before the next
// ones compete with it for the processor, and what goes together shares commits
// and syncs. When a while has passed and there still is more to do, the server or
// a sink is slow, or there is a lot; what may be under way then doubles, so that
// hundreds are within some tens of milliseconds. What is settling counts for that
// alone: a sink that hangs holds up nobody for longer.
func (l *lane) climb(now time.Time) (again time.Time) {
	road := l.inFlight + l.settling
	if road == 0 {
		l.sent = 0
	}
	switch {
	case l.ramp > l.size && road < l.ramp, l.sent < l.size:
	case now.Before(l.ramped.Add(rampEvery)):
		return l.ramped.Add(rampEvery)
	default:
		l.ramp, l.ramped = min(2*l.ramp, maxRamp), now
	}
	return time.Time{}
}

// fit sizes the next wave, when one is over that was as large as it could be.
func (l *lane) fit(now time.Time) {
	if l.inFlight+l.settling > 0 || l.first.IsZero() {
		return
	}
	took := now.Sub(l.first)
	l.first = time.Time{}
	switch {
	case l.sent < l.size:
	case took > waveTime:
		l.size = max(leastWave, l.size*7/8)
	case took < waveTime*3/4:
		l.size = min(mostWave, l.size+2)
	}
}

// landed notes that an answer is in its file, or will not get there, and lets the
// next wave go when it was the last.
func (r *Refresher) landed(d *delivery) {
	l := d.lane
	if l == nil {
		return
	}
	d.lane = nil
	l.settling--
	if l.inFlight+l.settling == 0 {
		now := r.now()
		l.fit(now)
		r.admit(l, now)
	}
}

// grow raises a learned rate slowly, to find out when the server grants more.
func (l *lane) grow(now time.Time) {
	if l.pacer == nil || now.Sub(l.lastGrow) < growEvery {
		return
	}
	l.lastGrow = now
	if faster := l.pacer.Limit() * growBy; faster < unpaced {
		l.pacer.SetLimitAt(now, faster)
	} else {
		l.pacer = nil
	}
}

// shift moves what the lane remembers with a clock that was set back: a pause or
// a climb must not last as long as the step.
func (l *lane) shift(d time.Duration) {
	for _, at := range []*time.Time{&l.resume, &l.first, &l.ramped, &l.lastGrow, &l.since} {
		if !at.IsZero() {
			*at = at.Add(d)
		}
	}
}

// answered notes a request that the server dealt with.
func (l *lane) answered(now time.Time) {
	if l.since.IsZero() {
		l.since = now
	}
	l.granted++
	l.pause = 0
	l.window = min(l.window+1, l.limits.Concurrency)
}

// lost notes a request that met an outage.
func (l *lane) lost() {
	l.window = max(min(leastWindow, l.limits.Concurrency), l.window/2)
}

// throttled notes a 429 and reports whether it began a new pause. The rate
// granted so far counts the pause in: a server with a budget per second grants
// it in the first instants of that second.
func (l *lane) throttled(now time.Time, retryAfter time.Duration) bool {
	if now.Before(l.resume) {
		return false // sent before the pause began
	}
	l.pause = min(max(2*l.pause, firstPause), longPause)
	if retryAfter > 0 {
		l.pause = min(retryAfter, max(l.pause, longPause))
	}
	l.resume = now.Add(l.pause)
	if l.granted > 0 {
		l.pace(rate.Limit(float64(l.granted)/l.resume.Sub(l.since).Seconds()), now)
	}
	l.since, l.granted = l.resume, 0
	return true
}

func (l *lane) pace(granted rate.Limit, now time.Time) {
	granted = max(granted, 1)
	if l.pacer == nil {
		l.pacer = rate.NewLimiter(granted, 1)
	} else {
		l.pacer.SetLimitAt(now, max(1, min(granted, l.pacer.Limit()*0.95)))
	}
	l.lastGrow = now
}

func (l *lane) wake(r *Refresher, now time.Time) { r.admit(l, now) }

// queue holds the entries that are due, those first whose access token expires
// first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].rec.ExpiresAt.Before(q[j].rec.ExpiresAt) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = int32(i+1), int32(j+1)
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	e := x.(*entry)
	*q = append(*q, e)
	e.place = int32(len(*q))
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	e.place = 0
	return e
}

// enqueue adds an entry. A lane that had nothing to do begins with one wave again.
func (l *lane) enqueue(e *entry, now time.Time) {
	if len(l.waiting) == 0 && l.inFlight+l.settling == 0 {
		l.ramp, l.ramped = l.size, now
	}
	heap.Push(&l.waiting, e)
}

func (l *lane) drop(e *entry) {
	if e.place != 0 {
		heap.Remove(&l.waiting, int(e.place-1))
	}
}

func (l *lane) take() *entry { return heap.Pop(&l.waiting).(*entry) }
