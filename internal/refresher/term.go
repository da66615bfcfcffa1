package refresher

import (
	"context"
	"sync"
	"time"
)

// termShare is the part of its time by which something may have to end early to
// share a deadline.
const termShare = 1.0 / 64

// terms hands out deadlines. What begins within a moment, for as long a time, ends
// at the same instant: a timer and a context for each request and each write of a
// fleet would be a good part of what they cost. Safe for concurrent use.
type terms struct {
	parent context.Context //nolint:containedctx // of every term

	mu   sync.Mutex
	last *term
}

// term is a deadline, and who has to keep it.
type term struct {
	ctx   context.Context //nolint:containedctx // it is what a term hands out
	until time.Time
	of    *terms

	cancel context.CancelFunc
	users  int // guarded by of.mu
}

// begin returns a term that ends after the given time, or up to termShare of it
// earlier. The caller ends it.
func (ts *terms) begin(within time.Duration) *term {
	until := time.Now().Add(within)
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.last
	if t == nil || t.until.After(until) || until.Sub(t.until) > scale(within, termShare) {
		t = &term{of: ts, until: until}
		t.ctx, t.cancel = context.WithDeadline(ts.parent, until)
		ts.last = t
	}
	t.users++
	return t
}

// end says that one who had to keep the term is done.
func (t *term) end() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	t.users--
	if t.users > 0 {
		return
	}
	t.cancel()
	if t.of.last == t {
		t.of.last = nil
	}
}
