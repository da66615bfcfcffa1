package file

import (
	"runtime"
	"sync"
	"time"
)

// linger is how long a run waits for calls that were announced: one that hangs
// must not hold up the others for long.
const linger = 2 * time.Millisecond

// group lets callers share the runs of an operation that covers everything done
// before it started. A caller is served by a run that started after its call; all
// callers that arrive while a run is under way share the next one, and so do those
// who have announced that they are about to call: a disk that is quick at one sync
// would otherwise be asked for each by itself, which costs more CPU than all the
// rest.
type group struct {
	running sync.Mutex // held by the run under way

	mu     sync.Mutex
	coming int           // calls that were announced
	came   chan struct{} // closed when none of them is missing any more; nil when nobody waits
	next   *run          // the run that has not started yet
}

type run struct {
	callers int // final once the run has started
	done    chan struct{}
	err     error // set before done is closed
}

// announce says that a call of do follows, or withdraw.
func (g *group) announce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.coming++
}

// withdraw says that an announced call will not come.
func (g *group) withdraw() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.arrived()
}

func (g *group) arrived() {
	g.coming--
	if g.coming == 0 && g.came != nil {
		close(g.came)
		g.came = nil
	}
}

// do returns the error of the run that served the caller. Whoever asks first for
// a run leads it, with its own f, which learns how many callers it serves.
func (g *group) do(announced bool, f func(callers int) error) error {
	r, leads := g.join(announced)
	if !leads {
		<-r.done
		return r.err
	}
	g.running.Lock()
	defer g.running.Unlock()
	g.gather(r)
	g.start()
	defer close(r.done)
	r.err = f(r.callers)
	return r.err
}

func (g *group) join(announced bool) (r *run, leads bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if announced {
		g.arrived()
	}
	if g.next != nil {
		g.next.callers++
		return g.next, false
	}
	g.next = &run{callers: 1, done: make(chan struct{})}
	return g.next, true
}

// gather waits for the calls that were announced, and lets those go first who are
// ready to announce one.
func (g *group) gather(r *run) {
	deadline := time.Now().Add(linger)
	for n := 0; n != g.callers(r) && time.Now().Before(deadline); runtime.Gosched() {
		n = g.callers(r)
		if came := g.missing(); came != nil {
			select {
			case <-came:
			case <-time.After(time.Until(deadline)):
			}
		}
	}
}

// missing is closed when no announced call is missing; nil when none is now.
func (g *group) missing() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.coming == 0 {
		return nil
	}
	if g.came == nil {
		g.came = make(chan struct{})
	}
	return g.came
}

func (g *group) callers(r *run) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return r.callers
}

// start closes the door: whoever comes now needs the run after this one.
func (g *group) start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = nil
}
