package file

import (
	"runtime"
	"sync"
)

// group lets callers share the runs of an operation that covers everything done
// before it started. A caller is served by a run that started after its call; all
// callers that arrive while a run is under way share the next one, and so do those
// who are on the point of calling: a disk that is quick at one sync would otherwise
// be asked for each by itself, which costs more CPU than all the rest.
type group struct {
	running sync.Mutex // held by the run under way

	mu   sync.Mutex
	next *run // the run that has not started yet
}

type run struct {
	callers int // final once the run has started
	done    chan struct{}
	err     error // set before done is closed
}

// do returns the error of the run that served the caller. Whoever asks first for
// a run leads it, with its own f, which learns how many callers it serves.
func (g *group) do(f func(callers int) error) error {
	r, leads := g.join()
	if !leads {
		<-r.done
		return r.err
	}
	g.running.Lock()
	defer g.running.Unlock()
	for n := 0; n != g.callers(r); runtime.Gosched() {
		n = g.callers(r)
	}
	g.start()
	defer close(r.done)
	r.err = f(r.callers)
	return r.err
}

func (g *group) join() (r *run, leads bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next != nil {
		g.next.callers++
		return g.next, false
	}
	g.next = &run{callers: 1, done: make(chan struct{})}
	return g.next, true
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
