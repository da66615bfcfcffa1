package refresher

import (
	"context"
	"errors"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// ErrStandby says that another replica keeps the token.
var ErrStandby = errors.New("another replica keeps this token")

const (
	// standbyFor is how long an action waits that this process may not take at
	// the moment: either it soon may again, or the token is let go of.
	standbyFor = time.Second
	// fencedFor is how long a token rests whose record another owner has
	// written, before its record is read again, should it still be ours.
	fencedFor = 2 * time.Second
)

// holds reports whether this process may act for a token at this instant. It is
// asked right before a request is sent and a sink is written: a process that was
// stopped for a while must not go on as if no time had passed.
func (r *Refresher) holds(name string) bool { return r.mayAct == nil || r.mayAct(name) }

// mine is the part of the configured tokens that this process is to keep now. One
// that is about to end takes up no more: nobody would do anything for them.
func (r *Refresher) mine() []*Spec {
	if r.owns == nil && !r.draining {
		return r.specs
	}
	var own []*Spec
	for _, s := range r.specs {
		if (r.owns == nil || r.owns(s.Name)) && (!r.draining || r.entries[s.Name] != nil) {
			own = append(own, s)
		}
	}
	return own
}

// Reown looks at Options.Owns again. Tokens that are newly owned have their record
// loaded and are taken up as at a start: without a request for one that is still
// fresh, their sinks reconciled. Tokens that are no longer owned are let go of:
// what is in flight finishes and is committed, record and sinks stay as they are.
// When the store fails, nothing is changed.
func (r *Refresher) Reown(ctx context.Context) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	return r.reapply(ctx)
}

// Settle waits until the tokens that were let go of have finished what they had
// in flight, their sinks' writes included, or until ctx ends.
func (r *Refresher) Settle(ctx context.Context) error {
	r.mu.Lock()
	r.watched++
	defer func() {
		r.mu.Lock()
		r.watched--
		r.mu.Unlock()
	}()
	for {
		settled, changed := len(r.leaving) == 0, r.changed
		r.mu.Unlock()
		if settled {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.mu.Lock()
	}
}

// letGo ends a token that another replica is to keep, with the lock held.
func (r *Refresher) letGo(e *entry) {
	e.released = true
	r.leaving[e] = struct{}{}
	r.retire(e)
	r.parted(e)
}

// parted notes whether a token that was let go of has come to rest, with the lock
// held.
func (r *Refresher) parted(e *entry) {
	if _, ok := r.leaving[e]; !ok || e.busy || e.unsaved {
		return
	}
	for _, d := range e.deliveries {
		if d.queued || d.running {
			return
		}
	}
	delete(r.leaving, e)
	r.broadcast()
}

// fenced gives up an attempt whose record another owner has written meanwhile:
// what it brought belongs to a family that is no longer the current one, and is
// neither kept nor published. A token that is still ours is read again after a
// moment. The lock is held.
func (r *Refresher) fenced(e *entry) {
	e.busy, e.doing, e.unsaved, e.urgent = false, none, false, false
	if e.retired {
		r.settle(e)
		return
	}
	r.letGo(e)
	r.rereadSoon()
}

// reread is the alarm for records that another owner has written.
type reread struct{ alarm alarm }

func (r *Refresher) rereadSoon() {
	if r.reread.alarm.index == 0 {
		r.set(&r.reread.alarm, r.now().Add(fencedFor))
	}
}

func (*reread) wake(r *Refresher, _ time.Time) {
	if r.draining {
		return
	}
	r.jobs.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), sinkTimeout)
		defer cancel()
		if err := r.Reown(ctx); err != nil {
			r.emit(Event{Kind: StateFailed, Err: err})
			r.mu.Lock()
			r.rereadSoon()
			r.mu.Unlock()
		}
	})
}

// standby is the failure of an attempt that this process may not make.
func standby() *token.Failure {
	return &token.Failure{Class: token.NotSent, Reason: "standby", Err: ErrStandby}
}
