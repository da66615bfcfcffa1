package vault

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/fenced"
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

type records = fenced.Store[int]

// Store is a [state.Store] and [state.Prefetcher] in a KV mount. Its Close waits
// for what is under way, half a minute at most.
type Store struct{ *records }

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

// requests are those to the place where the records are: a [fenced.Place], whose versions are Vault's.
type requests struct {
	kv     *vault.KV
	path   string
	reads  int
	log    *slog.Logger
	warned sync.Once // that old versions stay
}

// Open opens the store and proves that its mount is of version 2, that tokend may
// write records there, and that the key fits: the error names what a policy has to
// grant, and wraps [state.ErrKey] when the key is too short or the records are
// sealed with another one. Nothing is written.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, bounds{save: 25 * time.Second, pause: 100 * time.Millisecond, fresh: 20 * time.Second, reads: 32})
}

func open(ctx context.Context, o Options, b bounds) (*Store, error) {
	log := cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	s, err := fenced.Open(ctx, &requests{kv: o.KV, path: o.Path, reads: b.reads, log: log}, fenced.Options{
		Key: o.Key, Logger: log,
		Bounds: fenced.Bounds{Save: b.save, Pause: b.pause, Fresh: b.fresh},
		Words:  fenced.Words{Server: "Vault", Entry: "the entry", Entries: "Vault", GiveUp: "delete its newest version"},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the state in Vault: %w", err)
	}
	if o.Key.IsEmpty() {
		log.Warn("state is not sealed: anybody who can read the mount has its tokens; set a state key", "path", o.Path)
	}
	return &Store{s}, nil
}
