package kubernetes

import (
	"sync"
	"time"
)

// driftEvery is the shortest time between two calls of drift.
const driftEvery = 100 * time.Millisecond

// Watch implements [sinks.Watcher] on the shared watch of the namespace. A change
// counts as drift when the Secret no longer holds what was written last: foreign
// keys may come and go. While the watch is interrupted nothing is reported, and
// what happened meanwhile is when it is back. It never fails; [Sink.Check] says
// why a watch does not run.
func (s *Sink) Watch(drift func()) (stop func(), err error) {
	n := &notifier{drift: drift}
	s.mu.Lock()
	s.watching++
	s.drifts[n] = struct{}{}
	s.mu.Unlock()
	leave := s.secrets.Subscribe(s.name, s.look)
	return sync.OnceFunc(func() {
		leave()
		n.stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.watching--
		delete(s.drifts, n)
	}), nil
}

// begin marks that what the watch reports may be our own doing.
func (s *Sink) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = true
}

// end looks at what was reported meanwhile.
func (s *Sink) end() {
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	s.look()
}

// look compares what the watch has seen with what was written. A version that is
// not newer than ours is an echo. After a PATCH without an answer nobody knows
// whose doing a change was; the next Write finds out.
func (s *Sink) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.held == nil || s.doubt != nil || s.watching == 0 {
		return
	}
	seen, current := s.secrets.Get(s.name)
	if !current || !seen.NewerThan(s.own) || seen.Exists() && seen.Holds(s.held) {
		return
	}
	for n := range s.drifts {
		n.notice()
	}
}

// notifier calls drift, one call at a time and not too often.
type notifier struct {
	drift func()

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool // a call is to come or under way
	again   bool // there was another notice while the call was under way
	calling bool
	stopped bool
}

// notice asks for a call, which comes from another goroutine.
func (n *notifier) notice() {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.stopped:
	case n.waiting:
		n.again = n.again || n.calling
	default:
		n.waiting = true
		n.timer = time.AfterFunc(0, n.call)
	}
}

// call calls, and then keeps quiet for a while.
func (n *notifier) call() {
	n.mu.Lock()
	if n.stopped {
		n.mu.Unlock()
		return
	}
	n.calling, n.again = true, false
	n.mu.Unlock()
	n.drift()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.stopped {
		n.timer = time.AfterFunc(driftEvery, n.rest)
	}
}

// rest ends the quiet, with the call that was asked for meanwhile.
func (n *notifier) rest() {
	n.mu.Lock()
	again := n.again
	n.calling, n.waiting = false, again
	n.mu.Unlock()
	if again {
		n.call()
	}
}

func (n *notifier) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = true
	if n.timer != nil {
		n.timer.Stop()
	}
}
