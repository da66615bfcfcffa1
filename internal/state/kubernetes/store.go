package kubernetes

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

	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// Options say where the records are and how they are kept.
type Options struct {
	Client    *kube.Client // shared; Close leaves it open
	Namespace string       // must exist; empty: the client's
	Prefix    string       // of the names of all Secrets: a DNS label of at most 63 characters, no two states in a namespace the same
	Key       token.Secret // seals the records, see [state.NewCodec]; empty: they lie open in the Secrets
	Logger    *slog.Logger // nil: [slog.DiscardHandler]
}

// Store is a [state.Store] and [state.Prefetcher] in the Secrets of a namespace.
type Store struct {
	secrets   typedcore.SecretInterface
	namespace string
	prefix    string
	codec     *state.Codec
	log       *slog.Logger
	bounds    bounds

	id     string // of this store, in the ids of its writes
	writes atomic.Uint64

	running sync.WaitGroup // the queues that are not empty

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
	request time.Duration // one request
	save    time.Duration // a Save, Delete or quarantine with all its requests
	pause   time.Duration // before a lost write is sent again; doubles
	fresh   time.Duration // how long a Load may be answered by a Prefetch
	page    int64         // records that one request lists
}

// Open opens the store and proves that its namespace exists, that the client
// may do there what a store must, and that the key fits: the error names each
// missing verb, and wraps [state.ErrKey] when the key is too short or the
// records are sealed with another one. Nothing is written.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, bounds{
		request: 10 * time.Second, save: 25 * time.Second, pause: 100 * time.Millisecond,
		fresh: 20 * time.Second, page: 500,
	})
}

func open(ctx context.Context, o Options, b bounds) (*Store, error) {
	codec, err := state.NewCodec(o.Key)
	if err != nil {
		return nil, err
	}
	if !validPrefix(o.Prefix) {
		return nil, fmt.Errorf("the prefix %q of the state's Secrets is no DNS label of at most %d characters", o.Prefix, maxPrefix)
	}
	namespace := cmp.Or(o.Namespace, o.Client.Namespace())
	s := &Store{
		secrets:   o.Client.Interface().CoreV1().Secrets(namespace),
		namespace: namespace, prefix: o.Prefix, codec: codec, bounds: b,
		log:     cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		id:      rand.Text(),
		entries: make(map[string]*entry),
		fetched: make(map[string]fetched),
	}
	if err := s.admit(ctx, o.Client.Interface().AuthorizationV1().SelfSubjectAccessReviews()); err != nil {
		return nil, fmt.Errorf("opening the state in Secrets %s.* of namespace %s: %w", s.prefix, s.namespace, err)
	}
	if o.Key.IsEmpty() {
		s.log.Warn("state is not sealed: anybody who can read the namespace's Secrets has its tokens; set a state key",
			"namespace", namespace, "prefix", s.prefix)
	}
	return s, nil
}

// Close implements [state.Store]. Writes that are under way are bounded by half
// a minute.
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
	var r token.Record
	err := check(ctx, name)
	if err == nil {
		loaded := make(chan token.Record, 1) // not r: the caller may be gone
		err = s.submit(ctx, name, func(e *entry) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			r, err := s.load(ctx, e, name)
			loaded <- r
			return err
		})
		if err == nil {
			r = <-loaded
		}
	}
	if err != nil {
		return token.Record{}, fmt.Errorf("loading the record of %s: %w", name, err)
	}
	return r, nil
}

func check(ctx context.Context, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return checkName(name)
}

var errClosed = fmt.Errorf("state is closed: %w", os.ErrClosed)
