package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	typedauthorization "k8s.io/client-go/kubernetes/typed/authorization/v1"
	typedcore "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/fenced"
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

type records = fenced.Store[*origin]

// Store is a [state.Store] and [state.Prefetcher] in the Secrets of a namespace.
// Its Close waits for what is under way, half a minute at most.
type Store struct{ *records }

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

// requests are those to the place where the records are: a [fenced.Place].
type requests struct {
	secrets   typedcore.SecretInterface
	reviews   typedauthorization.SelfSubjectAccessReviewInterface
	namespace string
	prefix    string
	bounds    bounds
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
	if !validPrefix(o.Prefix) {
		return nil, fmt.Errorf("the prefix %q of the state's Secrets is no DNS label of at most %d characters", o.Prefix, maxPrefix)
	}
	log := cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	q := &requests{namespace: cmp.Or(o.Namespace, o.Client.Namespace()), prefix: o.Prefix, bounds: b}
	q.secrets = o.Client.Interface().CoreV1().Secrets(q.namespace)
	q.reviews = o.Client.Interface().AuthorizationV1().SelfSubjectAccessReviews()
	s, err := fenced.Open(ctx, q, fenced.Options{
		Key: o.Key, Logger: log,
		Bounds: fenced.Bounds{Save: b.save, Pause: b.pause, Fresh: b.fresh},
		Words:  fenced.Words{Server: "the API server", Entry: "the Secret", Entries: "Secrets", GiveUp: "delete the Secret"},
	})
	if err != nil {
		return nil, fmt.Errorf("opening the state in Secrets %s.* of namespace %s: %w", q.prefix, q.namespace, err)
	}
	if o.Key.IsEmpty() {
		log.Warn("state is not sealed: anybody who can read the namespace's Secrets has its tokens; set a state key",
			"namespace", q.namespace, "prefix", q.prefix)
	}
	return &Store{s}, nil
}
