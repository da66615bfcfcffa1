package fenced

import (
	"context"
	"fmt"
)

// entry is what the store knows of one name, and what is to be done for it: one
// thing at a time, in the order of the calls.
type entry[V any] struct {
	// The Store's lock guards these.
	queue   []func() (tell func())
	touched uint64 // counts what was queued and what was done

	seen[V] // whoever is at the head of the queue alone
}

// submit queues what is to be done for name and waits for its end, or ctx's.
func (s *Store[V]) submit(ctx context.Context, name string, do func(*entry[V]) error) error {
	done := make(chan error, 1)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	e := s.entries[name]
	if e == nil {
		e = &entry[V]{}
		s.entries[name] = e
	}
	e.touched++
	e.queue = append(e.queue, func() func() {
		err := do(e)
		return func() { done <- err }
	})
	if len(e.queue) == 1 {
		s.running.Go(func() { s.drain(e) })
	}
	s.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s: %w", s.words.Server, context.Cause(ctx))
	}
}

// drain does what is queued for e until nothing is left. A caller is told once
// what was done for it counts: what it reads ahead next is not taken for stale.
func (s *Store[V]) drain(e *entry[V]) {
	for more := true; more; {
		s.mu.Lock()
		do := e.queue[0]
		s.mu.Unlock()
		tell := do()
		s.mu.Lock()
		e.touched++
		e.queue[0] = nil
		e.queue = e.queue[1:]
		if more = len(e.queue) > 0; !more {
			e.queue = nil
		}
		s.mu.Unlock()
		tell()
	}
}
