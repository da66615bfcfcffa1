package file

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
)

// mostShared is how many steps share a sync at most, so that the first of a long
// line need not wait for the last.
const mostShared = 64

// crew takes the steps of writes to one file system, in a goroutine of its own that
// runs while there is something to do. What is asked for at the same time is done
// in one go: the kernel lets one thread at a time change a directory, the runtime
// looks for another thread whenever a call waits for the disk, and one sync serves
// all.
type crew struct {
	mu   sync.Mutex
	next *batch // that callers join; nil for none
	busy bool   // there is a goroutine
}

// batch is steps that end together.
type batch struct {
	steps []*step
	done  chan struct{}
}

// step is one of the two of a write: the temporary file, or its rename.
type step struct {
	take func() (changed int, err error) // changed is the descriptor of what is to be made durable

	fd      int
	err     error // of take
	synced  bool  // somebody has seen to it that fd is durable, or has tried
	syncErr error
}

// run takes the step. A panic is the failure of this step, not the end of those who
// share the goroutine.
func (s *step) run() {
	defer func() {
		if p := recover(); p != nil {
			s.err = fmt.Errorf("a defect in tokend: %T", p)
		}
	}()
	s.fd, s.err = s.take()
}

// do takes a step. Unless it is synced then, that is left to the caller.
func (c *crew) do(s *step, flush func(fd int) error) {
	c.mu.Lock()
	if c.next == nil {
		c.next = &batch{done: make(chan struct{})}
	}
	b := c.next
	b.steps = append(b.steps, s)
	if !c.busy {
		c.busy = true
		go c.run(flush)
	}
	c.mu.Unlock()
	<-b.done
}

func (c *crew) run(flush func(fd int) error) {
	var taken []*step
	var batches []*batch
	for {
		b := c.join(len(batches) > 0)
		if b != nil {
			for _, s := range b.steps {
				s.run()
			}
			taken, batches = append(taken, b.steps...), append(batches, b)
			if len(taken) < mostShared {
				runtime.Gosched() // those who are about to ask go first
				continue
			}
		}
		if len(batches) == 0 {
			return
		}
		makeDurable(taken, flush)
		for _, b := range batches {
			close(b.done)
		}
		clear(taken)
		clear(batches)
		taken, batches = taken[:0], batches[:0]
	}
}

// join returns the steps that have been asked for, or nil; then the goroutine ends,
// unless it has something to finish.
func (c *crew) join(unfinished bool) *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.next
	c.next = nil
	c.busy = b != nil || unfinished
	return b
}

// makeDurable makes durable what steps have changed: what is one thing with fsync,
// several with one flush of the file system.
func makeDurable(steps []*step, flush func(fd int) error) {
	var fds []int
	for _, s := range steps {
		if s.err == nil && !slices.Contains(fds, s.fd) {
			fds = append(fds, s.fd)
		}
	}
	if len(fds) == 0 {
		return
	}
	alone := len(fds) == 1
	var err error
	if alone {
		err = fsync(fds[0])
	} else {
		err = flush(fds[0])
	}
	for _, s := range steps {
		if s.err == nil && (alone || err == nil) {
			s.synced, s.syncErr = true, err
		}
	}
}
