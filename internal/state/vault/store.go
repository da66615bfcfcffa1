package vault

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

// Options say where the records are and how they are kept.
type Options struct {
	KV     *vault.KV    // of version 2; its client is shared, and Close leaves it open
	Path   string       // below the mount; no two states in a mount have the same, or one below the other's
	Key    token.Secret // seals the records, see [state.NewCodec]; empty: they lie open in the entries
	Logger *slog.Logger // nil: [slog.DiscardHandler]
}

// Store is a [state.Store] and [state.Prefetcher] in a KV mount.
type Store struct {
	kv     *vault.KV
	path   string
	codec  *state.Codec
	log    *slog.Logger
	bounds bounds

	id     string // of this store, in the ids of its writes
	writes atomic.Uint64

	running sync.WaitGroup // the queues that are not empty
	warned  sync.Once      // that old versions stay

	mu      sync.Mutex
	closed  bool
	entries map[string]*entry
	fetched map[string]fetched
}

var (
	_ state.Store      = (*Store)(nil)
	_ state.Prefetcher = (*Store)(nil)
)

// bounds are shorter and smaller in tests.
type bounds struct {
	save  time.Duration // a Save, Delete or quarantine with all its requests
	pause time.Duration // before a lost write is sent again; doubles
	fresh time.Duration // how long a Load may be answered by a Prefetch
	reads int           // requests of a Prefetch at once
}

// Open opens the store and proves that its mount is of version 2, that tokend may
// write records there, and that the key fits: the error names what a policy has to
// grant, and wraps [state.ErrKey] when the key is too short or the records are
// sealed with another one. Nothing is written.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, bounds{save: 25 * time.Second, pause: 100 * time.Millisecond, fresh: 20 * time.Second, reads: 32})
}

func open(ctx context.Context, o Options, b bounds) (*Store, error) {
	codec, err := state.NewCodec(o.Key)
	if err != nil {
		return nil, err
	}
	s := &Store{
		kv: o.KV, path: o.Path, codec: codec, bounds: b,
		log:     cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		id:      rand.Text(),
		entries: make(map[string]*entry),
		fetched: make(map[string]fetched),
	}
	if err := s.admit(ctx); err != nil {
		return nil, fmt.Errorf("opening the state in Vault: %w", err)
	}
	if o.Key.IsEmpty() {
		s.log.Warn("state is not sealed: anybody who can read the mount has its tokens; set a state key", "path", s.path)
	}
	return s, nil
}

// Close implements [state.Store]. Writes that are under way are bounded by half a
// minute.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

// Save implements [state.Store].
func (s *Store) Save(ctx context.Context, name string, r token.Record) error {
	if err := check(ctx, name); err != nil {
		return fmt.Errorf("saving the record of %s: %w", name, err)
	}
	value, err := s.codec.Encode(name, r)
	if err != nil {
		return err
	}
	if err := s.submit(ctx, name, func(e *entry) error { return s.put(e, name, value) }); err != nil {
		return fmt.Errorf("saving the record of %s: %w", name, err)
	}
	return nil
}

// Delete implements [state.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	err := check(ctx, name)
	if err == nil {
		err = s.submit(ctx, name, func(e *entry) error { return s.remove(e, name) })
	}
	if err != nil {
		return fmt.Errorf("deleting the record of %s: %w", name, err)
	}
	return nil
}

// Load implements [state.Store]. It takes the record over from whoever had it.
func (s *Store) Load(ctx context.Context, name string) (token.Record, error) {
	loaded := make(chan token.Record, 1) // no variable: the caller may be gone
	err := check(ctx, name)
	if err == nil {
		err = s.submit(ctx, name, func(e *entry) error {
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

var errClosed = fmt.Errorf("state is closed: %w", os.ErrClosed)
