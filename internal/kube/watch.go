package kube

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// The waits between attempts to list or watch: what was changed during an outage
// is put right within half a minute of its end, and nobody lists in a loop.
const (
	watchRetryFirst  = 500 * time.Millisecond
	watchRetryLast   = 10 * time.Second
	watchRetryJitter = 0.5
	watchRetrySteps  = 6 // until the wait has reached its cap
)

// filter says what a watch sees; watches of one client with one filter are one.
type filter struct{ namespace, labels, fields string }

// source finds the watch of a filter, whether it runs or not.
type source struct {
	client *Client
	filter filter
}

// watched is a watch that runs.
type watched struct {
	filter filter
	cancel context.CancelFunc

	mu      sync.Mutex
	first   chan struct{} // closed when all is known or the first attempt has failed
	once    sync.Once
	seen    map[string]Seen
	listed  string // the version of the last complete list
	streams bool   // the next complete list is part of a watch
	live    bool   // changes are seen
	failure error
	subs    map[string]map[*func()]struct{}
	users   int // guarded by the client's lock
}

func (s source) running() *watched {
	s.client.mu.Lock()
	defer s.client.mu.Unlock()
	return s.client.watches[s.filter]
}

func (s source) subscribe(name string, changed func()) (stop func()) {
	c := s.client
	c.mu.Lock()
	w := c.watches[s.filter]
	if w == nil {
		w = newWatched(s.filter)
		c.watches[s.filter] = w
		s.start(w)
	}
	w.users++
	c.mu.Unlock()
	w.add(name, &changed)
	return sync.OnceFunc(func() {
		w.drop(name, &changed)
		c.mu.Lock()
		defer c.mu.Unlock()
		if w.users--; w.users == 0 {
			delete(c.watches, s.filter)
			w.cancel()
		}
	})
}

func (s source) get(name string) (Seen, bool) {
	w := s.running()
	if w == nil {
		return Seen{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen, ok := w.seen[name]
	if !ok {
		seen.ResourceVersion = w.listed
	}
	return seen, w.live
}

func (s source) wait(ctx context.Context) {
	if w := s.running(); w != nil {
		select {
		case <-w.first:
		case <-ctx.Done():
		}
	}
}

func (s source) err() error {
	w := s.running()
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failure
}

func newWatched(f filter) *watched {
	return &watched{filter: f, first: make(chan struct{}), seen: map[string]Seen{}, subs: map[string]map[*func()]struct{}{}}
}

// start runs the watch, with the client's lock held.
func (s source) start(w *watched) {
	logger := bridge(s.client.logger)
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logger))
	w.cancel = cancel
	if s.client.closed {
		cancel()
		return
	}
	r := cache.NewReflectorWithOptions(s.lister(w), &corev1.Secret{}, store{w}, cache.ReflectorOptions{
		Logger: &logger,
		Name:   "secrets of " + w.filter.namespace,
		Backoff: &wait.Backoff{
			Duration: watchRetryFirst, Factor: 2, Jitter: watchRetryJitter, Cap: watchRetryLast, Steps: watchRetrySteps,
		},
	})
	s.client.watching.Go(func() {
		defer cancel()
		r.RunWithContext(ctx)
	})
}

// lister makes the requests, and notes whether they succeed.
func (s source) lister(w *watched) cache.ListerWatcher {
	secrets := s.client.main.CoreV1().Secrets(w.filter.namespace)
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			w.filter.narrow(&o)
			list, err := secrets.List(ctx, o)
			if err != nil {
				w.lost(ctx, s.client, "list", err)
				return nil, err
			}
			w.listing()
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			w.filter.narrow(&o)
			w.starting()
			events, err := secrets.Watch(ctx, o)
			if err != nil {
				w.lost(ctx, s.client, "watch", err)
				return nil, final(o, err)
			}
			w.resumed(o.SendInitialEvents != nil)
			return events, nil
		},
	}, s.client.main)
}

// final keeps the reflector from waiting where it does not look at its context,
// which would hold up the end of the process: a watch that was to stream the list
// is not tried again by itself after these errors.
func final(o metav1.ListOptions, err error) error {
	if o.SendInitialEvents != nil && (errors.Is(err, syscall.ECONNREFUSED) || apierrors.IsTooManyRequests(err)) {
		return errors.New(err.Error())
	}
	return err
}

func (f filter) narrow(o *metav1.ListOptions) {
	o.LabelSelector, o.FieldSelector = f.labels, f.fields
}

// lost notes why the watch is interrupted.
func (w *watched) lost(ctx context.Context, c *Client, verb string, err error) {
	err = Explain(err, verb, "secrets", w.filter.namespace, "")
	w.mu.Lock()
	told := w.failure != nil || ctx.Err() != nil
	w.live, w.failure = false, err
	w.mu.Unlock()
	if !told {
		c.logger.Warn("the watch on Secrets is interrupted: changes by others are not seen until it is back",
			"kubernetes", c.name, "namespace", w.filter.namespace, "error", err)
	}
	w.once.Do(func() { close(w.first) })
}

// starting notes that the watch before has ended.
func (w *watched) starting() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.live = false
}

// resumed notes that a watch is there again. One that streams the list first is
// current when that is complete; another goes on from what is known.
func (w *watched) resumed(streams bool) {
	w.mu.Lock()
	w.streams = streams
	if streams {
		w.mu.Unlock()
		return
	}
	w.tell(w.current())
}

// listing notes that a complete list comes without a watch.
func (w *watched) listing() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams = false
}

// current notes that from now on changes are seen, and lists whom to tell, with
// the lock held.
func (w *watched) current() []func() {
	w.live, w.failure = true, nil
	w.once.Do(func() { close(w.first) })
	var calls []func()
	for name := range w.subs {
		calls = append(calls, w.subscribers(name)...)
	}
	return calls
}
