package replicas

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes"

	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

const (
	leaseDuration = 3 * time.Second
	renewEvery    = 700 * time.Millisecond

	// recoverWithin is within what every token is live again after a replica or a
	// Lease was lost.
	recoverWithin = leaseDuration + 5*time.Second
)

// plan is what a fleet is made of.
type plan struct {
	shards   int
	tokens   int
	lifetime time.Duration
	pace     time.Duration // how long an answer takes at most, before the commit and after it
}

// refreshAt and jitter are those of the config.
const (
	refreshAt = 0.5
	jitter    = 0.1
)

// fleet is a group of replicas, what they share, and all that is known of them.
type fleet struct {
	plan
	cluster   *testbed.Cluster
	client    kubernetes.Interface
	namespace string
	server    *strict.Server
	history   *history
	meter     *meter
	replicas  []*replica
	gone      []*replica // that have been stopped for good

	disturbed []disturbance
	slowest   time.Duration // until everything was held and live again
	slowEven  time.Duration // until the shards were spread evenly
}

// replica is a place for a daemon, which may be started many times.
type replica struct {
	*tokend.Daemon
	fleet       *fleet
	name        string
	incarnation int
	kubeconfig  string
	address     string
	logs        []logged
}

// logged is what an incarnation has logged.
type logged struct {
	source string
	output *tokend.Output
}

// source is the present incarnation, as the server's journal and the Leases name
// it.
func (r *replica) source() string { return fmt.Sprintf("%s-%d", r.name, r.incarnation) }

// rules are what a replica needs: the state, the Leases and the sinks.
func rules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{secretRule(), leaseRule()}
}

func secretRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"}}
}

func leaseRule() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"},
		Verbs: []string{"get", "list", "watch", "create", "update", "delete"},
	}
}

// newFleet makes places for replicas and starts none.
func newFleet(t *testing.T, on *testbed.Cluster, p plan, names ...string) *fleet {
	t.Helper()
	f := &fleet{plan: p, cluster: on, namespace: on.Namespace(t), client: on.Client(t), server: strict.Start(t, p.lifetime)}
	f.server.Pace = func(bool) {
		if p.pace > 0 {
			time.Sleep(rand.N(p.pace))
		}
	}
	f.history = keepHistory(t, f.client, f.namespace)
	f.meter = startMeter(t, f.client, f.namespace)
	for _, name := range names {
		f.add(t, name, rules()...)
	}
	return f
}

func (f *fleet) add(t *testing.T, name string, rights ...rbacv1.PolicyRule) *replica {
	t.Helper()
	bin, err := built()
	if err != nil {
		t.Fatal(err)
	}
	config := f.cluster.ServiceAccount(t, f.namespace, name, rights...)
	r := &replica{Daemon: tokend.New(t, bin), fleet: f, name: name, kubeconfig: f.cluster.Kubeconfig(t, config), address: freeAddress(t)}
	f.replicas = append(f.replicas, r)
	return r
}

func (f *fleet) users() []string {
	users := make([]string, f.tokens)
	for i := range users {
		users[i] = fmt.Sprintf("tenant-%03d", i)
	}
	return users
}

// start runs a new incarnation of a replica.
func (r *replica) start(t *testing.T) {
	t.Helper()
	r.incarnation++
	r.Configure(t, r.config())
	r.Run(t)
	r.logs = append(r.logs, logged{r.source(), r.Log})
}

func (r *replica) config() string {
	f := r.fleet
	return fmt.Sprintf(`
kubernetes "main" {
  kubeconfig = %[1]q
  qps        = 300
  burst      = 600
}
state "kubernetes_secret" {
}
ha "kubernetes" {
  name           = "tokend"
  shards         = %[2]d
  lease_duration = %[3]q
  renew_every    = %[4]q
  identity       = %[5]q
}
control {
  socket = "DIR/run/control.sock"
}
http {
  address = %[6]q
}
log {
  format = "json"
}
provider "strict" {
  token_endpoint = %[7]q
  client_id      = "fleet"
  client_secret  = "fleet-secret"
  request {
    headers = { X-Replica = %[5]q }
  }
  schedule {
    refresh_at   = %[8]g
    jitter       = %[9]g
    lead         = "1s"
    min_interval = "500ms"
  }
}
dynamic "token" {
  for_each = range(%[10]d)
  labels   = [format("tenant-%%03d", token.value)]
  content {
    provider = "strict"
    grant "password" {
      username = format("tenant-%%03d", token.value)
      password = "for-tests"
    }
    sink "kubernetes_secret" {
      name        = format("tenant-%%03d", token.value)
      data        = { token = "{{ .AccessToken }}" }
      propagation = "0s"
    }
  }
}
`, r.kubeconfig, f.shards, leaseDuration, renewEvery, r.source(), r.address, f.server.URL, refreshAt, jitter, f.tokens)
}

// spread is how many shards each of the present incarnations holds.
func (f *fleet) spread(of []*replica) (counts []int, held int) {
	by := map[string]int{}
	for _, holder := range f.history.holders() {
		for _, r := range of {
			if strings.HasPrefix(holder, r.source()+"_") {
				by[r.source()]++
				held++
			}
		}
	}
	for _, r := range of {
		counts = append(counts, by[r.source()])
	}
	return counts, held
}

// awaitHeld waits until the replicas given hold all shards.
func (f *fleet) awaitHeld(t *testing.T, from time.Time, within time.Duration, what string, of ...*replica) {
	t.Helper()
	f.await(t, from, within, what+": all shards are held", func() bool {
		_, held := f.spread(of)
		return held == f.shards
	})
}

// awaitEven waits until they hold them evenly.
func (f *fleet) awaitEven(t *testing.T, from time.Time, within time.Duration, what string, of ...*replica) {
	t.Helper()
	f.await(t, from, within, what+": the shards are spread evenly", func() bool {
		counts, held := f.spread(of)
		return held == f.shards && slices.Max(counts)-slices.Min(counts) <= 1
	})
}

// awaitLive waits until every sink was seen to hold a live token.
func (f *fleet) awaitLive(t *testing.T, from time.Time, within time.Duration, what string) {
	t.Helper()
	missing := map[string]bool{}
	for _, user := range f.users() {
		missing[user] = true
	}
	f.await(t, from, within, what+": every token is live", func() bool {
		for user := range missing {
			if f.server.Alive(f.history.published(user)) {
				delete(missing, user)
			}
		}
		return len(missing) == 0
	})
}

func (f *fleet) await(t *testing.T, from time.Time, within time.Duration, what string, yes func() bool) {
	t.Helper()
	for !yes() {
		if late := f.meter.since(from); time.Since(from) > within+late {
			t.Fatalf("waited %v and, for a slow machine, %v in vain until %s; the Leases are held by %v", within, late, what, f.history.holders())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// begin starts all replicas and waits until they have settled.
func (f *fleet) begin(t *testing.T) {
	t.Helper()
	for _, r := range f.replicas {
		r.start(t)
	}
	from := time.Now()
	f.awaitEven(t, from, time.Minute, "at the start", f.replicas...)
	f.awaitLive(t, from, time.Minute, "at the start")
}

// end tells all of them to end, and waits until all that they did is known.
func (f *fleet) end(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	for _, r := range f.replicas {
		all.Go(func() { r.Stop(t) })
	}
	all.Wait()
	f.history.catchUp(t, f.client, f.namespace)
}

// lost tells how many answers the incarnations waited for in vain, by source and
// token.
func (f *fleet) lost() map[string]int {
	n := map[string]int{}
	for _, r := range slices.Concat(f.replicas, f.gone) {
		for _, l := range r.logs {
			for line := range bytes.Lines(l.output.Bytes()) {
				if name := ambiguous(line); name != "" {
					n[l.source+" "+name]++
				}
			}
		}
	}
	return n
}

func (r *replica) others() []*replica {
	return slices.DeleteFunc(slices.Clone(r.fleet.replicas), func(o *replica) bool { return o == r })
}

// holdsNow are the names of the Leases that a replica holds.
func (r *replica) holdsNow() []string {
	held := r.fleet.history.holders()
	maps.DeleteFunc(held, func(_, holder string) bool { return !strings.HasPrefix(holder, r.source()+"_") })
	return slices.Sorted(maps.Keys(held))
}

// ready asks as the kubelet does.
func (r *replica) ready(t *testing.T) (code int, answer string) {
	t.Helper()
	resp, err := http.Get("http://" + r.address + "/readyz")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
