package replicas

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

const (
	statePrefix = "tokend-state."
	leasePrefix = "tokend-"
	markPrefix  = "mark-"
)

// version is one write of a token's record.
type version struct {
	revision uint64 // of etcd: one count for all Secrets and Leases
	record   token.Record
	faulty   error // it could not be read
}

// written is one write of a token's sink.
type written struct {
	revision   uint64
	seen       time.Time // by this test
	access     string
	generation uint64
}

// holding is a change of a Lease's holder.
type holding struct {
	revision uint64
	holder   string    // empty: it was freed
	from     time.Time // as the holder says, which counts from before its request
}

// history is every version of every Secret and Lease of a namespace, in the order
// in which etcd has them.
type history struct {
	codec *state.Codec

	mu       sync.Mutex
	records  map[string][]version
	sinks    map[string][]written
	leases   map[string][]holding
	current  map[string]*coordinationv1.Lease
	marks    map[string]bool
	problems []string
}

func (h *history) problem(what string) { h.problems = append(h.problems, what) }

// keepHistory watches a namespace until the test ends.
func keepHistory(t *testing.T, client kubernetes.Interface, namespace string) *history {
	t.Helper()
	codec, err := state.NewCodec(token.Secret{})
	if err != nil {
		t.Fatal(err)
	}
	h := &history{
		codec: codec, records: map[string][]version{}, sinks: map[string][]written{},
		leases: map[string][]holding{}, current: map[string]*coordinationv1.Lease{}, marks: map[string]bool{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() { cancel(); all.Wait() })
	secrets, leases := client.CoreV1().Secrets(namespace), client.CoordinationV1().Leases(namespace)
	began, err := secrets.List(t.Context(), metav1.ListOptions{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	all.Go(func() {
		h.follow(ctx, began.ResourceVersion, secrets.Watch, func(o metav1.ListOptions) (runtime.Object, error) { return secrets.List(ctx, o) })
	})
	all.Go(func() {
		h.follow(ctx, began.ResourceVersion, leases.Watch, func(o metav1.ListOptions) (runtime.Object, error) { return leases.List(ctx, o) })
	})
	return h
}

// follow watches again from where it was whenever the API server ends a watch. One
// that was started anew does not know what was before: versions are missing then,
// which is a problem for whoever asks the judge.
func (h *history) follow(ctx context.Context, from string,
	begin func(context.Context, metav1.ListOptions) (watch.Interface, error), list func(metav1.ListOptions) (runtime.Object, error),
) {
	for ctx.Err() == nil {
		w, err := begin(ctx, metav1.ListOptions{ResourceVersion: from})
		if err != nil && !apierrors.IsResourceExpired(err) && !apierrors.IsGone(err) {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		lost := err != nil
		if w != nil {
			for e := range w.ResultChan() {
				if lost = e.Type == watch.Error; lost {
					break
				}
				from = h.note(e)
			}
			w.Stop()
		}
		if lost {
			from = h.relist(from, list)
		}
	}
}

// relist takes what is there now for news.
func (h *history) relist(from string, list func(metav1.ListOptions) (runtime.Object, error)) string {
	all, err := list(metav1.ListOptions{})
	if err != nil {
		return from
	}
	h.mu.Lock()
	h.problem("the watch has lost versions after " + from)
	h.mu.Unlock()
	_ = meta.EachListItem(all, func(o runtime.Object) error { h.note(watch.Event{Type: watch.Modified, Object: o}); return nil })
	return all.(metav1.ListInterface).GetResourceVersion()
}

func (h *history) note(e watch.Event) (revision string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch o := e.Object.(type) {
	case *corev1.Secret:
		h.secret(e.Type, o)
		return o.ResourceVersion
	case *coordinationv1.Lease:
		h.lease(e.Type, o)
		return o.ResourceVersion
	}
	return ""
}

func (h *history) secret(kind watch.EventType, o *corev1.Secret) {
	revision := number(o.ResourceVersion)
	name, isRecord := strings.CutPrefix(o.Name, statePrefix)
	switch {
	case strings.HasPrefix(o.Name, markPrefix):
		h.marks[o.Name] = true
	case kind == watch.Deleted:
		h.problem("the Secret " + o.Name + " was deleted")
	case isRecord:
		v := version{revision: revision}
		v.record, v.faulty = h.codec.Decode(name, o.Data["record"])
		h.records[name] = append(h.records[name], v)
	default:
		h.sinks[o.Name] = append(h.sinks[o.Name], written{
			revision: revision, seen: time.Now(), access: string(o.Data["token"]), generation: number(o.Annotations["tokend/generation"]),
		})
	}
}

func (h *history) lease(kind watch.EventType, l *coordinationv1.Lease) {
	if kind == watch.Deleted {
		delete(h.current, l.Name)
		if !strings.Contains(l.Name, "-member-") {
			h.problem("the Lease " + l.Name + " was deleted")
		}
		return
	}
	before := h.current[l.Name]
	h.current[l.Name] = l
	if holderOf(l) != holderOf(before) {
		h.leases[l.Name] = append(h.leases[l.Name], holding{revision: number(l.ResourceVersion), holder: holderOf(l), from: l.Spec.RenewTime.Time})
	}
}

func holderOf(l *coordinationv1.Lease) string {
	if l == nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

// holders are who holds the shards' Leases now, without those that have run out.
func (h *history) holders() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := map[string]string{}
	for name, l := range h.current {
		if strings.Contains(name, "-member-") || holderOf(l) == "" {
			continue
		}
		if time.Since(l.Spec.RenewTime.Time) < leaseDuration {
			held[name] = holderOf(l)
		}
	}
	return held
}

// published is what a sink holds now.
func (h *history) published(name string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if all := h.sinks[name]; len(all) > 0 {
		return all[len(all)-1].access
	}
	return ""
}

// catchUp waits until everything has been seen that was written before.
func (h *history) catchUp(t *testing.T, client kubernetes.Interface, namespace string) {
	t.Helper()
	mark := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: markPrefix}}
	made, err := client.CoreV1().Secrets(namespace).Create(t.Context(), mark, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tokend.Await(t, 20*time.Second, "all versions have been seen", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.marks[made.Name]
	})
}

// copied returns what is known so far, for a judge that takes its time.
func (h *history) copied() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &history{
		records: maps.Clone(h.records), sinks: maps.Clone(h.sinks), leases: maps.Clone(h.leases), problems: slices.Clone(h.problems),
	}
}
