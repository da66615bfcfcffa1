package file

import "sync"

// group lets callers share the runs of an operation that covers everything done
// before it started. A caller is served by a run that started after its call; all
// callers that arrive while a run is under way share the next one.
type group struct {
	running sync.Mutex // held by the run under way

	mu   sync.Mutex
	next *run // the run that has not started yet
}

type run struct {
	done chan struct{}
	err  error // set before done is closed
}

// do returns the error of the run that served the caller. Whoever asks first for
// a run leads it, with its own f.
func (g *group) do(f func() error) error {
	r, leads := g.join()
	if !leads {
		<-r.done
		return r.err
	}
	g.running.Lock()
	defer g.running.Unlock()
	g.start()
	defer close(r.done)
	r.err = f()
	return r.err
}

func (g *group) join() (r *run, leads bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.next != nil {
		return g.next, false
	}
	g.next = &run{done: make(chan struct{})}
	return g.next, true
}

// start closes the door: whoever comes now needs the run after this one.
func (g *group) start() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = nil
}
