package fenced

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// Options say how records are kept.
type Options struct {
	Key    token.Secret // seals the records, see [state.NewCodec]; empty: they lie open in the place
	Logger *slog.Logger
	Bounds Bounds
	Words  Words
}

// Bounds are shorter in tests.
type Bounds struct {
	Save  time.Duration // a Save, Delete or quarantine with all its requests
	Pause time.Duration // before a lost write is sent again; doubles
	Fresh time.Duration // how long a Load may be answered by a Prefetch
}

// Words are what errors call things.
type Words struct {
	Server  string // who is waited for, such as "the API server"
	Entry   string // such as "the Secret"; its name follows
	Entries string // what is too small for a record, such as "Secrets"
	GiveUp  string // what a person does whose key is lost, such as "delete the Secret"
}

// Store is a [state.Store] and [state.Prefetcher] on a [Place].
type Store[V any] struct {
	place  Place[V]
	codec  *state.Codec
	log    *slog.Logger
	bounds Bounds
	words  Words

	id     string // of this store, in the ids of its writes
	writes atomic.Uint64

	running sync.WaitGroup // the queues that are not empty

	mu      sync.Mutex
	closed  bool
	entries map[string]*entry[V]
	fetched map[string]fetched[V]
}

var (
	_ state.Store      = (*Store[int])(nil)
	_ state.Prefetcher = (*Store[int])(nil)
)

// Open returns a store on a place that admits it and whose records are sealed with
// its key: otherwise the error wraps [state.ErrKey], as it does when the key is too
// short. Nothing is written.
func Open[V any](ctx context.Context, place Place[V], o Options) (*Store[V], error) {
	codec, err := state.NewCodec(o.Key)
	if err != nil {
		return nil, err
	}
	sample, err := place.Admit(ctx)
	if err != nil {
		return nil, err
	}
	if err := fits(codec.KeyID(), sample); err != nil {
		return nil, err
	}
	return &Store[V]{
		place: place, codec: codec, log: o.Logger, bounds: o.Bounds, words: o.Words,
		id:      rand.Text(),
		entries: make(map[string]*entry[V]),
		fetched: make(map[string]fetched[V]),
	}, nil
}

// fits tells a wrong key by the records that are there, so that it is one clear
// error instead of one for each record.
func fits(key state.KeyID, records [][]byte) error {
	mine, others := 0, 0
	for _, b := range records {
		switch id, ok := state.SealedWith(b); {
		case ok && id == key:
			mine++
		case ok:
			others++
		}
	}
	switch {
	case mine > 0 || others == 0:
		return nil
	case key == state.KeyID{}:
		return fmt.Errorf("the records are sealed, and no %w is given", state.ErrKey)
	}
	return fmt.Errorf("the records are sealed with another %w than the one given", state.ErrKey)
}

// Close implements [state.Store]. Writes that are under way are bounded.
func (s *Store[V]) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Save implements [state.Store].
func (s *Store[V]) Save(ctx context.Context, name string, r token.Record) error {
	if err := check(ctx, name); err != nil {
		return fmt.Errorf("saving the record of %s: %w", name, err)
	}
	value, err := s.codec.Encode(name, r)
	if err != nil {
		return err
	}
	if err := s.submit(ctx, name, func(e *entry[V]) error { return s.put(e, name, value) }); err != nil {
		return fmt.Errorf("saving the record of %s: %w", name, err)
	}
	return nil
}

// Delete implements [state.Store].
func (s *Store[V]) Delete(ctx context.Context, name string) error {
	err := check(ctx, name)
	if err == nil {
		err = s.submit(ctx, name, func(e *entry[V]) error { return s.remove(e, name) })
	}
	if err != nil {
		return fmt.Errorf("deleting the record of %s: %w", name, err)
	}
	return nil
}

// Load implements [state.Store]. It takes the record over from whoever had it.
func (s *Store[V]) Load(ctx context.Context, name string) (token.Record, error) {
	loaded := make(chan token.Record, 1) // no variable: the caller may be gone
	err := check(ctx, name)
	if err == nil {
		err = s.submit(ctx, name, func(e *entry[V]) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r, err := s.load(ctx, e, name)
			loaded <- r
			return err
		})
	}
	if err != nil {
		return token.Record{}, fmt.Errorf("loading the record of %s: %w", name, err)
	}
	return <-loaded, nil
}

func check(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !token.ValidName(name) {
		return errName
	}
	return nil
}

var (
	errClosed = fmt.Errorf("state is closed: %w", os.ErrClosed)
	errName   = errors.New("not a valid name") // for what [token.ValidName] refuses
)
