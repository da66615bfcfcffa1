package endpoint

import (
	"context"
	"sync"
	"time"
)

// interrupts ends what waits on a connection once its context is done. The
// exchanges of a fleet share contexts, and so they share one callback for each.
// Safe for concurrent use.
type interrupts struct {
	mu sync.Mutex
	by map[<-chan struct{}]*interrupt // by what their contexts close
}

type interrupt struct {
	conns map[*conn]struct{}
	stop  func() bool
}

// join has whatever waits on cn fail once ctx is done, until leave.
func (is *interrupts) join(ctx context.Context, cn *conn) {
	done := ctx.Done()
	if done == nil {
		return
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	i := is.by[done]
	if i == nil {
		i = &interrupt{conns: map[*conn]struct{}{}}
		i.stop = context.AfterFunc(ctx, func() { is.fire(done, i) })
		if is.by == nil {
			is.by = map[<-chan struct{}]*interrupt{}
		}
		is.by[done] = i
	}
	i.conns[cn] = struct{}{}
}

// leave reports whether cn was left alone.
func (is *interrupts) leave(ctx context.Context, cn *conn) bool {
	done := ctx.Done()
	if done == nil {
		return true
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	i := is.by[done]
	if i == nil {
		return false
	}
	_, alone := i.conns[cn]
	delete(i.conns, cn)
	if len(i.conns) == 0 {
		i.stop()
		delete(is.by, done)
	}
	return alone
}

func (is *interrupts) fire(done <-chan struct{}, i *interrupt) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.by[done] == i { // a later one has a callback of its own
		delete(is.by, done)
	}
	for cn := range i.conns {
		_ = cn.SetDeadline(time.Unix(1, 0))
	}
	clear(i.conns)
}
