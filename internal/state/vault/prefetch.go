package vault

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
)

// fetched is an entry that was read ahead.
type fetched struct {
	object  object
	touched uint64 // what the entry had counted before it was read
	at      time.Time
}

// Prefetch implements [state.Prefetcher]. Vault reads one entry a request, so they
// are read many at once.
func (s *Store) Prefetch(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := check(ctx, name); err != nil {
			return fmt.Errorf("reading the record of %s ahead: %w", name, err)
		}
	}
	before, err := s.beforeFetch(names)
	if err != nil {
		return err
	}
	at := time.Now()
	objects := make([]object, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(s.bounds.reads)
	for i, name := range names {
		group.Go(func() (err error) {
			objects[i], err = s.get(ctx, name)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("reading %d records ahead: %w", len(names), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, name := range names {
		s.fetched[name] = fetched{object: objects[i], touched: before[name], at: at}
	}
	return nil
}

// beforeFetch notes what was done for names so far, and forgets what was read
// ahead and not asked for.
func (s *Store) beforeFetch(names []string) (map[string]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	for name, f := range s.fetched {
		if time.Since(f.at) > s.bounds.fresh {
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
func (s *Store) prefetched(e *entry, name string) (o object, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.fetched[name]
	delete(s.fetched, name)
	if !ok || f.touched+1 != e.touched || time.Since(f.at) > s.bounds.fresh {
		return object{}, false
	}
	return f.object, true
}
