package vault

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/tokend-project/tokend/internal/vault"
)

const (
	defaultRate = 20 // requests a second: a fleet of 1,200 once a minute
	pauseFirst  = time.Second
	pauseLast   = 15 * time.Second
)

// Monitor looks for drift in the entries of many sinks: one request for each, at
// the sink's interval, spread over it, and never more than its rate in all. While
// the server is sealed or cannot be reached, it asks ever more rarely, at least
// every 15 s.
//
// A Monitor is safe for concurrent use. There is one for each server, so that one
// that hangs holds up no other's sinks. It looks at nothing before Run.
type Monitor struct {
	limiter *rate.Limiter
	proven  proofs
	changed chan struct{} // something is due earlier than was thought

	mu    sync.Mutex
	queue queue
}

// NewMonitor returns a monitor that makes at most perSecond requests; 0: 20.
func NewMonitor(perSecond float64) *Monitor {
	if perSecond <= 0 {
		perSecond = defaultRate
	}
	return &Monitor{limiter: rate.NewLimiter(rate.Limit(perSecond), 1), changed: make(chan struct{}, 1)}
}

// watched is whom a monitor can ask.
type watched interface {
	drifted(ctx context.Context) (bool, error)
}

// watch is one sink's place in the queue.
type watch struct {
	sink  watched
	every time.Duration
	drift func()
	due   time.Time
	index int // in the queue; -1 when it is not there
	over  bool
}

func (m *Monitor) watch(s watched, every time.Duration, drift func()) (stop func()) {
	w := &watch{sink: s, every: every, drift: drift, index: -1}
	m.mu.Lock()
	w.due = time.Now().Add(rand.N(every))
	heap.Push(&m.queue, w)
	m.mu.Unlock()
	m.wake()
	return func() { m.remove(w) }
}

func (m *Monitor) remove(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.over = true
	if w.index >= 0 {
		heap.Remove(&m.queue, w.index)
	}
}

func (m *Monitor) wake() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Run looks for drift until ctx ends.
func (m *Monitor) Run(ctx context.Context) {
	pause := time.Duration(0)
	for m.limiter.Wait(ctx) == nil {
		w := m.next(ctx)
		if w == nil {
			return
		}
		drifted, err := w.sink.drifted(ctx)
		m.again(w)
		if drifted {
			w.drift()
		}
		if pause = pauseAfter(err, pause); pause > 0 && !sleep(ctx, pause) {
			return
		}
	}
}

// next waits for a sink that is due, and takes it out of the queue. It returns nil
// when ctx ends.
func (m *Monitor) next(ctx context.Context) *watch {
	for ctx.Err() == nil {
		m.mu.Lock()
		wait := time.Hour
		if len(m.queue) > 0 {
			wait = time.Until(m.queue[0].due)
		}
		if wait <= 0 {
			defer m.mu.Unlock()
			return heap.Pop(&m.queue).(*watch)
		}
		m.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-m.changed:
		}
		timer.Stop()
	}
	return nil
}

// again puts a sink back. Its turns wander a little, so that sinks which began
// together don't stay together.
func (m *Monitor) again(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if w.over {
		return
	}
	w.due = time.Now().Add(w.every - rand.N(w.every/8+1))
	heap.Push(&m.queue, w)
}

// pauseAfter is how long to leave a server alone.
func pauseAfter(err error, last time.Duration) time.Duration {
	if err == nil || !ofServer(err) {
		return 0
	}
	return max(min(max(2*last, pauseFirst), pauseLast), retryAfter(err))
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// queue is ordered by due.
type queue []*watch

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements [heap.Interface].
func (q *queue) Push(x any) {
	w := x.(*watch)
	w.index = len(*q)
	*q = append(*q, w)
}

// Pop implements [heap.Interface].
func (q *queue) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	w.index = -1
	return w
}

// ofServer tells whether an error concerns all entries: the server is sealed, out
// of reach, throttles, or doesn't let tokend in.
func ofServer(err error) bool {
	for _, kind := range []error{
		vault.ErrSealed, vault.ErrStandby, vault.ErrUnreachable, vault.ErrAmbiguous, vault.ErrThrottled, vault.ErrLogin,
	} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

func retryAfter(err error) time.Duration {
	e, ok := errors.AsType[*vault.Error](err)
	if !ok {
		return 0
	}
	return e.RetryAfter()
}
