package refresher

import (
	"context"
	"time"
)

const (
	defaultWriters = 64
	// stuckAfter is when a write no longer counts towards its pool's limit: a
	// sink that hangs must not delay the others.
	stuckAfter = 250 * time.Millisecond
	// stuckFactor bounds how many writes may be under way in a pool, stuck ones
	// included, as a multiple of its limit. Hooks and probes take their time, and
	// their limits are strict.
	stuckFactor = 16
	// sinkTimeout bounds one write, where the sink can be interrupted.
	sinkTimeout = 30 * time.Second
)

// job is something that a pool does off the lock. One job is queued once at most
// and never runs twice at once.
type job interface {
	// begin returns what to do, with the lock held; nil for nothing.
	begin(r *Refresher, now time.Time) func(ctx context.Context)
}

// A pool bounds how much of one kind is done at once: disks are best near 16
// writers, servers with 50 ms of latency need hundreds. The Refresher's lock
// guards it.
type pool struct {
	limit   int
	most    int // stuck ones included
	queue   []job
	head    int
	running map[*run]struct{}
	alarm   alarm
}

type run struct{ since time.Time }

func (r *Refresher) pool(kind string) *pool {
	p := r.pools[kind]
	if p == nil {
		limit := r.writers[kind]
		if limit <= 0 {
			limit = defaultWriters
		}
		p = &pool{limit: limit, most: stuckFactor * limit, running: map[*run]struct{}{}}
		if kind == hookPool || kind == probePool {
			p.most = limit
		}
		p.alarm.wakes = p
		r.pools[kind] = p
	}
	return p
}

// enqueue adds a job, with the lock held.
func (r *Refresher) enqueue(kind string, j job) {
	p := r.pool(kind)
	p.queue = append(p.queue, j)
	r.staff(p)
}

func (p *pool) len() int { return len(p.queue) - p.head }

func (p *pool) take() job {
	j := p.queue[p.head]
	p.queue[p.head] = nil
	p.head++
	if p.head == len(p.queue) {
		p.queue, p.head = p.queue[:0], 0
		if cap(p.queue) > 1024 {
			p.queue = nil
		}
	}
	return j
}

// room tells how many more jobs may run now.
func (p *pool) room(now time.Time) int {
	if len(p.running) < p.limit {
		return p.limit - len(p.running)
	}
	stuck := 0
	for w := range p.running {
		if now.Sub(w.since) >= stuckAfter {
			stuck++
		}
	}
	return min(p.limit-len(p.running)+stuck, p.most-len(p.running))
}

// staff starts workers for the queue. While running is false, as before Run, the
// queue only fills.
func (r *Refresher) staff(p *pool) {
	if !r.running {
		return
	}
	now := r.now()
	for p.len() > 0 && p.room(now) > 0 {
		w := &run{since: now}
		p.running[w] = struct{}{}
		j := p.take()
		r.jobs.Go(func() { r.serve(p, w, j) })
	}
	if p.len() > 0 && p.alarm.index == 0 {
		r.set(&p.alarm, now.Add(stuckAfter))
	}
}

func (p *pool) wake(r *Refresher, _ time.Time) { r.staff(p) }

// serve does j, and then what is queued, as long as the pool has room for it.
func (r *Refresher) serve(p *pool, w *run, j job) {
	for j != nil {
		r.mu.Lock()
		do := j.begin(r, r.now())
		r.mu.Unlock()
		if do != nil {
			t := r.others.begin(sinkTimeout)
			do(t.ctx)
			t.end()
		}
		r.mu.Lock()
		j = nil
		w.since = r.now()
		if p.len() > 0 && len(p.running) <= p.limit {
			j = p.take()
		} else {
			delete(p.running, w)
			r.staff(p)
		}
		r.mu.Unlock()
	}
}

// drain waits for the jobs, for a while.
func (r *Refresher) drain() {
	done := make(chan struct{})
	go func() {
		r.jobs.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainFor):
	}
}
