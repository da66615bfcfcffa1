package ha

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	if os.Getenv("HA_REPLICA") != "" {
		os.Exit(replicaMain())
	}
	// The first client redirects klog, which the test bed's own clients use too.
	if _, err := kube.NewFromConfig(&rest.Config{Host: "https://127.0.0.1"}, "", kube.Options{}); err != nil {
		panic(err)
	}
	os.Exit(testbed.Main(m, &cluster))
}

// Short, so that what waits for a Lease to run out takes seconds.
const (
	leaseDuration = 2 * time.Second
	renewEvery    = 500 * time.Millisecond
)

// replica is a Group whose connection can be cut.
type replica struct {
	*Group
	name    string
	cut     atomic.Bool
	changes atomic.Int64
	freed   atomic.Int64
	requests

	freedWhileHeld atomic.Int64
	stop           func() // as at SIGTERM; waits
}

// requests counts what a replica asks of the API server.
type requests struct {
	counting sync.Mutex
	count    map[string]int
}

func (r *requests) taken() map[string]int {
	r.counting.Lock()
	defer r.counting.Unlock()
	count := r.count
	r.count = nil
	return count
}

var errCut = errors.New("the connection is cut")

type transport struct {
	next http.RoundTripper
	r    *replica
}

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := r.Method
	if strings.Contains(r.URL.RawQuery, "watch=") {
		kind = "WATCH"
	} else if strings.HasSuffix(r.URL.Path, "/leases") && r.Method == http.MethodGet {
		kind = "LIST"
	}
	t.r.counting.Lock()
	if t.r.count == nil {
		t.r.count = map[string]int{}
	}
	t.r.count[kind]++
	t.r.counting.Unlock()
	t.r.watchFrees(r)
	if t.r.cut.Load() {
		return nil, errCut
	}
	return t.next.RoundTrip(r)
}

// watchFrees looks whether a Lease is freed that its holder still believes in: when
// the request has arrived, and long before its answer has, another may hold it.
func (r *replica) watchFrees(req *http.Request) {
	if req.Method != http.MethodPut {
		return
	}
	for shard := range r.o.Shards {
		if path.Base(req.URL.Path) != r.shardName(shard) {
			continue
		}
		r.mu.RLock()
		freeing := r.holds[shard] != nil && r.holds[shard].gone
		r.mu.RUnlock()
		if freeing {
			r.freed.Add(1)
		}
		if freeing && r.Holds(shard) {
			r.freedWhileHeld.Add(1)
		}
	}
}

// fleet is the replicas of one group.
type fleet struct {
	config    *rest.Config
	namespace string
	shards    int
	release   func(ctx context.Context, r *replica, shard int)

	mu       sync.Mutex
	replicas []*replica
	overlaps []string
}

func newFleet(t *testing.T, shards int) *fleet {
	t.Helper()
	f := &fleet{namespace: cluster.Namespace(t), config: cluster.Admin(), shards: shards}
	f.guard(t)
	return f
}

// guard looks for two replicas that hold one shard, until the test ends.
func (f *fleet) guard(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			f.look()
			time.Sleep(time.Millisecond)
		}
	})
	t.Cleanup(func() {
		cancel()
		all.Wait()
		for _, o := range f.overlaps {
			t.Error(o)
		}
	})
}

// share reports whether both hold a shard at one instant: neither can change while
// the other is looked at.
func share(a, b *replica, shard int) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	b.mu.RLock()
	defer b.mu.RUnlock()
	now := time.Now()
	return a.good(a.holds[shard], now) && b.good(b.holds[shard], now)
}

func (f *fleet) look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for shard := range f.shards {
		for i, a := range f.replicas {
			for _, b := range f.replicas[i+1:] {
				if shard < len(a.holds) && shard < len(b.holds) && share(a, b, shard) {
					f.overlaps = append(f.overlaps, fmt.Sprintf("%s and %s held shard %d at the same time", a.name, b.name, shard))
				}
			}
		}
	}
}

func (f *fleet) start(t *testing.T, name string) *replica {
	t.Helper()
	return f.startWith(t, name, f.config, f.shards)
}

func (f *fleet) startWith(t *testing.T, name string, config *rest.Config, shards int) *replica {
	t.Helper()
	r := &replica{name: name}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return transport{next, r} })
	client, err := kube.NewFromConfig(config, f.namespace, kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Group, err = New(Options{
		Client: client.Coordination(), Namespace: f.namespace, Name: "tokend", Identity: name, Shards: shards,
		LeaseDuration: leaseDuration, RenewEvery: renewEvery,
		Changed: func() { r.changes.Add(1) },
		Release: func(ctx context.Context, shard int) {
			if f.release != nil {
				f.release(ctx, r, shard)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	r.stop = func() { cancel(); all.Wait() }
	t.Cleanup(func() {
		r.stop()
		client.Close()
		if n := r.freedWhileHeld.Load(); n > 0 {
			t.Errorf("%s freed %d Leases while it believed to hold them", name, n)
		}
	})
	f.mu.Lock()
	f.replicas = append(f.replicas, r)
	f.mu.Unlock()
	return r
}

// await fails the test unless yes becomes true in time.
func await(t *testing.T, within time.Duration, what string, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", within, what)
		}
	}
}

// spread waits until the replicas hold these numbers of shards, in any order, and
// all shards between them.
func (f *fleet) spread(t *testing.T, within time.Duration, replicas []*replica, want ...int) {
	t.Helper()
	var got []int
	var held map[int]string
	defer func() {
		if t.Failed() {
			t.Logf("they hold %v: %v", got, held)
		}
	}()
	slices.Sort(want)
	await(t, within, fmt.Sprintf("the shards are spread as %v", want), func() bool {
		got, held = nil, map[int]string{}
		for _, r := range replicas {
			shards := r.Status().Held
			got = append(got, len(shards))
			for _, s := range shards {
				held[s] = r.name
			}
		}
		slices.Sort(got)
		return slices.Equal(got, want) && len(held) == f.shards
	})
}

func (f *fleet) leases(t *testing.T) map[string]*coordinationv1.Lease {
	t.Helper()
	list, err := cluster.Client(t).CoordinationV1().Leases(f.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*coordinationv1.Lease{}
	for i := range list.Items {
		all[list.Items[i].Name] = &list.Items[i]
	}
	return all
}

const soon = 30 * time.Second // on a busy machine, where Leases of two seconds are lost now and then

func TestReplicasShareEvenly(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 8)
	a, b := f.start(t, "a"), f.start(t, "b")
	f.spread(t, soon, []*replica{a, b}, 4, 4)
	before := map[int]bool{}
	for _, s := range append(a.Status().Held, b.Status().Held...) {
		before[s] = true
	}
	c := f.start(t, "c")
	all := []*replica{a, b, c}
	f.spread(t, soon, all, 3, 3, 2)
	members := c.Status().Members
	if len(members) != 3 || !slices.Contains(members, c.me) {
		t.Errorf("members are %v", members)
	}
	for i := range 100 {
		name := fmt.Sprintf("tenant-%d", i)
		owners := 0
		for _, r := range all {
			if r.Owns(name) {
				owners++
			}
			if r.Owns(name) != r.MayAct(name) || r.MayAct(name) != r.Holds(r.Shard(name)) {
				t.Errorf("%s is not of one mind about %s", r.name, name)
			}
		}
		if owners != 1 {
			t.Errorf("%s has %d owners", name, owners)
		}
	}
	b.stop()
	f.spread(t, soon, []*replica{a, c}, 4, 4)
}

func TestStandbyTakesOverAtOnceFromOneThatLeaves(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	a := f.start(t, "a")
	f.spread(t, soon, []*replica{a}, 1)
	b := f.start(t, "b")
	await(t, soon, "b is seen", func() bool { return len(a.Status().Members) == 2 && len(b.Status().Members) == 2 })
	if !b.Status().Standby || a.Status().Standby {
		t.Error("the one who came later does not stand by")
	}
	began := time.Now()
	go a.stop()
	await(t, soon, "b has taken over", func() bool { return b.Holds(0) })
	if took := time.Since(began); took > leaseDuration*3/4 {
		t.Errorf("the hand-over took %v", took)
	}
	a.stop()
	if names := slices.Sorted(maps.Keys(f.leases(t))); len(names) != 2 || names[0] != "tokend" || !strings.HasPrefix(names[1], "tokend-member-b-") {
		t.Errorf("there are the Leases %v", names)
	}
	b.stop()
	left := f.leases(t)
	if len(left) != 1 || holderOf(left["tokend"]) != "" {
		t.Errorf("what the last one left: %v", left)
	}
	if a.freed.Load() == 0 || b.freed.Load() == 0 {
		t.Errorf("they freed %d and %d Leases", a.freed.Load(), b.freed.Load())
	}
	if b.Status().Held != nil || b.Holds(0) {
		t.Error("it still holds a shard")
	}
}

// TestLeaseIsHeldUntilItsShardHasDrained: what is in flight must be committed
// before somebody else loads the state.
func TestLeaseIsHeldUntilItsShardHasDrained(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	draining, drained := make(chan int), make(chan struct{})
	f.release = func(_ context.Context, r *replica, shard int) {
		if r.name != "a" {
			return
		}
		if !r.Holds(shard) {
			t.Error("the shard is gone before it was released")
		}
		draining <- shard
		<-drained
		if !r.Holds(shard) {
			t.Error("the shard was lost while it drained")
		}
	}
	a := f.start(t, "a")
	f.spread(t, soon, []*replica{a}, 2)
	b := f.start(t, "b")
	shard := <-draining
	for i := range 20 {
		name := fmt.Sprintf("tenant-%d", i)
		if a.Owns(name) == (a.Shard(name) == shard) || !a.MayAct(name) {
			t.Errorf("while shard %d drains, %s of shard %d: owned %t", shard, name, a.Shard(name), a.Owns(name))
		}
	}
	time.Sleep(leaseDuration * 3 / 2) // longer than the Lease would last without renewals
	if !a.Holds(shard) || b.Holds(shard) {
		t.Error("the Lease was not kept while its shard drained")
	}
	close(drained)
	f.spread(t, soon, []*replica{a, b}, 1, 1)
	go func() {
		for range draining { // a gives up its last shard too
		}
	}()
	a.stop()
	close(draining)
}

func TestKilledReplicasShardsAreTakenWhenTheirTimeIsOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 8)
	a, b, c := f.start(t, "a"), f.start(t, "b"), f.start(t, "c")
	f.spread(t, soon, []*replica{a, b, c}, 3, 3, 2)
	changes := a.changes.Load()
	a.cut.Store(true)
	cut := time.Now()
	f.spread(t, soon, []*replica{b, c}, 4, 4)
	if took := time.Since(cut); took < leaseDuration-renewEvery || took > leaseDuration+5*time.Second {
		t.Errorf("it took %v", took)
	}
	if s := a.Status(); !s.Standby || !strings.Contains(s.Problem, errCut.Error()) {
		t.Errorf("who is cut off says %+v", s)
	}
	if a.changes.Load() == changes {
		t.Error("who is cut off was not told that it lost its shards")
	}
	a.cut.Store(false)
	f.spread(t, soon, []*replica{a, b, c}, 3, 3, 2)
	if p := a.Status().Problem; p != "" {
		t.Errorf("the problem is over, and still shown: %s", p)
	}
}

func TestStolenLease(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 4)
	a, b := f.start(t, "a"), f.start(t, "b")
	f.spread(t, soon, []*replica{a, b}, 2, 2)
	shard := a.Status().Held[0]
	stolen := time.Now()
	f.steal(t, a.shardName(shard), "thief")
	await(t, soon, "the holder notices", func() bool { return !a.Holds(shard) })
	f.spread(t, soon, []*replica{a, b}, 2, 2)
	if took := time.Since(stolen); took < leaseDuration {
		t.Errorf("the thief had it for %v only", took)
	}
}

// steal writes another holder into a Lease.
func (f *fleet) steal(t *testing.T, name, thief string) {
	t.Helper()
	leases := cluster.Client(t).CoordinationV1().Leases(f.namespace)
	for {
		l, err := leases.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l.Spec.HolderIdentity = &thief
		if _, err := leases.Update(t.Context(), l, metav1.UpdateOptions{}); err == nil {
			return
		}
	}
}

func TestDeletedLeasesComeBack(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	a, b := f.start(t, "a"), f.start(t, "b")
	f.spread(t, soon, []*replica{a, b}, 1, 1)
	err := cluster.Client(t).CoordinationV1().Leases(f.namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, soon, "all four Leases are back", func() bool { return len(f.leases(t)) == 4 })
	f.spread(t, soon, []*replica{a, b}, 1, 1)
}

// TestRequestsAreRenewalsAndNothingElse: what the others do comes by the watch.
func TestRequestsAreRenewalsAndNothingElse(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 8)
	a, b := f.start(t, "a"), f.start(t, "b")
	f.spread(t, soon, []*replica{a, b}, 4, 4)
	time.Sleep(renewEvery)
	a.taken()
	const rounds = 6
	time.Sleep(rounds * renewEvery)
	n := a.taken()
	if puts := n[http.MethodPut]; puts < 5 || puts > 5*(rounds+2) || len(n) != 1 {
		t.Errorf("in %d times RenewEvery a holder of 4 shards made %v", rounds, n)
	}
}

// TestNewNumberOfShards: a token is in another shard then, so that replicas of
// both numbers would keep it.
func TestNewNumberOfShards(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 3)
	a := f.start(t, "a")
	f.spread(t, soon, []*replica{a}, 3)
	b := f.startWith(t, "b", f.config, 5)
	await(t, soon, "b has seen the Leases", func() bool { return len(f.leases(t)) == 5 && b.sees() })
	for until := time.Now().Add(leaseDuration); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if s := b.Status(); !s.Standby || len(a.Status().Held) != 3 {
			t.Fatalf("with two divisions, one holds %v and the other %v", a.Status().Held, s.Held)
		}
	}
	a.stop()
	await(t, soon, "the new division is held", func() bool { return len(b.Status().Held) == 5 })
}

func (r *replica) sees() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.sighted
}

func TestMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2)
	verbs := []string{"get", "list", "watch", "create", "update", "delete"}
	rule := func(verbs []string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{coordinationv1.GroupName}, Resources: []string{"leases"}, Verbs: verbs}
	}
	config := cluster.ServiceAccount(t, f.namespace, "tokend", rule(verbs))
	a := f.startWith(t, "a", config, 2)
	f.spread(t, soon, []*replica{a}, 2)
	cluster.Grant(t, f.namespace, f.namespace, "tokend", rule([]string{"get", "list", "watch", "create", "delete"}))
	await(t, soon, "the problem is named", func() bool {
		s := a.Status()
		return s.Standby && strings.Contains(s.Problem, "may not update leases")
	})
	cluster.Grant(t, f.namespace, f.namespace, "tokend", rule(verbs))
	f.spread(t, soon, []*replica{a}, 2)
	a.stop()
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1)
	a := f.start(t, "a")
	f.spread(t, soon, []*replica{a}, 1)
	if err := a.Run(t.Context()); err == nil {
		t.Error("it ran twice")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Name: "No", Identity: "a b", LeaseDuration: time.Second, RenewEvery: time.Second})
	if err == nil {
		t.Fatal("anything goes")
	}
	for _, want := range []string{"client", "name", "identity", "shard", "renewed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not speak of the %s", err, want)
		}
	}
}

func TestNamesOfLeases(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 200)
	for _, c := range []struct{ name, me, want string }{
		{"tokend", "pod-1_x7", "tokend-member-pod-1-x7"},
		{"tokend", "Pod.A_x7", "tokend-member-pod.a-x7"},
		{"tokend", "who/ever_x7", "tokend-member-" + digest("who/ever_x7")},
		{long, long, long + "-member-" + digest(long)},
	} {
		if got := memberName(c.name, c.me); got != c.want || len(got) > maxName {
			t.Errorf("the Lease of %s is %s, want %s", c.me, got, c.want)
		}
	}
	if labelOf("tokend") != "tokend" || len(labelOf(long)) > maxLabel {
		t.Error("a name is no label's value")
	}
}
