package observe

import (
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
)

const (
	relayWait = 10 * time.Millisecond // for which an event waits for others
	relayFull = 256                   // events that wait for nothing more
	relayMost = 8 * relayFull         // above, who brings one more has to pass them on
)

// Relay passes events on to observers, apart from those who walk a token's road: the
// ones that come within some milliseconds go together, in their order, and their log
// lines are written at once. It is safe for concurrent use; observers hear of one
// event at a time, and must not call the Relay.
type Relay struct {
	to    []refresher.Observer
	lines *Lines

	passing sync.Mutex // held while observers are told; taken before mu

	mu      sync.Mutex
	open    bool
	waiting []refresher.Event
	spare   []refresher.Event
	timer   *time.Timer
}

// NewRelay returns a Relay that passes each event on as it comes.
func NewRelay(lines *Lines, to ...refresher.Observer) *Relay { return &Relay{to: to, lines: lines} }

// Gather lets events wait for each other from now on.
func (r *Relay) Gather() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = true
}

// Through passes on what waits, and from now on each event as it comes.
func (r *Relay) Through() {
	r.mu.Lock()
	r.open = false
	r.mu.Unlock()
	r.Pass()
}

// Observe implements refresher.Observer.
func (r *Relay) Observe(e refresher.Event) {
	if !r.put(e) {
		r.Pass()
	}
}

// put reports false when the caller is to pass on what waits.
func (r *Relay) put(e refresher.Event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, e)
	switch n := len(r.waiting); {
	case !r.open || n > relayMost:
		return false
	case r.timer == nil:
		r.timer = time.AfterFunc(relayWait, r.Pass)
	case n == 1:
		r.timer.Reset(relayWait)
	case n == relayFull:
		r.timer.Reset(0)
	}
	return true
}

// Pass passes on what waits. Who asks what was observed finds all that has happened.
func (r *Relay) Pass() {
	r.passing.Lock()
	defer r.passing.Unlock()
	events := r.take()
	if len(events) == 0 {
		return
	}
	r.lines.Hold()
	defer r.lines.Release()
	for i := range events {
		for _, o := range r.to {
			o.Observe(events[i])
		}
	}
	r.giveBack(events)
}

func (r *Relay) take() []refresher.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	events := r.waiting
	r.waiting, r.spare = r.spare, nil
	return events
}

// giveBack keeps the list for the events to come, unless a burst has made it large.
func (r *Relay) giveBack(events []refresher.Event) {
	clear(events)
	if cap(events) > 2*relayFull {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spare = events[:0]
}
