package fenced

import (
	"context"
	"fmt"
	"time"
)

// fetched is an entry that was read ahead.
type fetched[V any] struct {
	entry   Entry[V]
	touched uint64 // what the entry had counted before it was read
	at      time.Time
}

// Prefetch implements [state.Prefetcher].
func (s *Store[V]) Prefetch(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := check(ctx, name); err != nil {
			return fmt.Errorf("reading the record of %s ahead: %w", name, err)
		}
	}
	before, err := s.beforeFetch(names)
	if err != nil || len(names) == 0 {
		return err
	}
	at := time.Now()
	found, err := s.place.ReadAll(ctx, names)
	if err != nil {
		return fmt.Errorf("reading %d records ahead: %w", len(names), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, name := range names {
		s.fetched[name] = fetched[V]{entry: found[i], touched: before[name], at: at}
	}
	return nil
}

// beforeFetch notes what was done for names so far, and forgets what was read
// ahead and not asked for.
func (s *Store[V]) beforeFetch(names []string) (map[string]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	for name, f := range s.fetched {
		if time.Since(f.at) > s.bounds.Fresh {
			delete(s.fetched, name)
		}
	}
	before := make(map[string]uint64, len(names))
	for _, name := range names {
		if e := s.entries[name]; e != nil {
			before[name] = e.touched
		}
	}
	return before, nil
}

// prefetched returns what was read ahead for a Load, whose own call is the one
// thing that may have been asked for since.
func (s *Store[V]) prefetched(e *entry[V], name string) (o Entry[V], ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.fetched[name]
	delete(s.fetched, name)
	if !ok || f.touched+1 != e.touched || time.Since(f.at) > s.bounds.Fresh {
		return Entry[V]{}, false
	}
	return f.entry, true
}
