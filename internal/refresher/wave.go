package refresher

import "time"

// gatherFor is how long an answer waits for those that were asked for with it.
// What is answered together goes down the road together: one commit and one sync
// serve all of it.
const gatherFor = time.Millisecond

// wave is answers that wait for each other.
type wave struct {
	tries []*try
	timer *time.Timer
	over  chan struct{} // closed when they go on
}

// arrive ends an attempt's wait for its answer. One that brought a token goes on
// together with the others that its lane waits for, or after gatherFor.
func (r *Refresher) arrive(l *lane, t *try) {
	if t.err == nil {
		r.renew(t)
		t.coming = &coming{token: t.rec.Token, persisted: make(chan struct{})}
	}
	r.mu.Lock()
	l.unanswered--
	w := r.join(l, t)
	switch {
	case l.wave == nil:
	case l.unanswered == 0:
		r.goOn(l)
	case w != nil && w.timer == nil:
		w.timer = time.AfterFunc(gatherFor, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			if l.wave == w {
				r.goOn(l)
			}
		})
	}
	r.mu.Unlock()
	if w != nil {
		<-w.over
	}
}

// join adds an answer to its lane's wave; nil is for an attempt that failed.
func (r *Refresher) join(l *lane, t *try) *wave {
	if t.awaited { // the store, in vain
		t.awaited = false
		r.expect(-1)
	}
	if t.err != nil {
		return nil
	}
	if l.wave == nil {
		l.wave = &wave{over: make(chan struct{})}
	}
	l.wave.tries = append(l.wave.tries, t)
	t.awaited = r.gatherer != nil
	return l.wave
}

// goOn lets the answers of a lane's wave go on, with the lock held.
func (r *Refresher) goOn(l *lane) {
	w := l.wave
	l.wave = nil
	if l.first.IsZero() {
		l.first = r.now()
	}
	if w.timer != nil {
		w.timer.Stop()
	}
	r.expect(len(w.tries))
	close(w.over)
	// The saves are first in the queue for a processor, so that the disk has their
	// commit to do while the sinks prepare what it makes valid.
	for _, t := range w.tries {
		r.stage(t)
	}
}

// expect tells the store of saves that are about to come, so that it makes them
// durable together.
func (r *Refresher) expect(n int) {
	if r.gatherer != nil && n != 0 {
		r.gatherer.Expect(n)
	}
}
