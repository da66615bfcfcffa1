package replicas

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// defaultRounds is how often replicas are disturbed in all; REPLICAS_ROUNDS says
// otherwise.
const defaultRounds = 100

func rounds(t *testing.T) int {
	t.Helper()
	s, set := os.LookupEnv("REPLICAS_ROUNDS")
	if !set {
		return defaultRounds
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestDisturbedReplicasNeverDoAnythingTwice: two replicas and three, side by side,
// share the rounds.
func TestDisturbedReplicasNeverDoAnythingTwice(t *testing.T) {
	t.Parallel()
	for name, names := range map[string][]string{"two": {"a", "b"}, "three": {"a", "b", "c"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, cluster, plan{shards: 8, tokens: 200, lifetime: 30 * time.Second, pace: 200 * time.Millisecond}, names...)
			f.begin(t)
			kinds := f.kinds()
			began := time.Now()
			n := (rounds(t) + 1) / 2
			for i := range n {
				kinds[i%len(kinds)].disturb(t, fmt.Sprintf("round %d, %s", i+1, kinds[i%len(kinds)].name))
			}
			took := time.Since(began)
			ended := time.Now()
			f.end(t)
			j := f.verdict(t, ended, recoverWithin)
			t.Logf("%s replicas, %d rounds in %.0f s, for %.1f s of which the API server was slow: %s; all held and live again after at most %.2f s, spread evenly %.2f s later",
				name, n, took.Seconds(), f.meter.since(began).Seconds(), j, f.slowest.Seconds(), f.slowEven.Seconds())
			if j.unprovoked > 0 && f.meter.since(began) == 0 {
				t.Error("Leases went from one to another although nobody had done anything, and the machine was not slow")
			}
			if n >= defaultRounds/2 && j.ambiguous+j.unsent == 0 {
				t.Error("no round hit a request in flight: this proves nothing")
			}
		})
	}
}

// kind is one kind of round.
type kind struct {
	name    string
	disturb func(t *testing.T, what string)
}

func (f *fleet) kinds() []kind {
	return []kind{
		{"kill -9", f.killOne},
		{"a Lease stolen", func(t *testing.T, what string) { f.steal(t, what, 1) }},
		{"stopped for long", f.stopLong},
		{"kill -9", f.killOne},
		{"stopped for a moment", f.stopShort},
		{"all Leases stolen", func(t *testing.T, what string) { f.steal(t, what, f.shards) }},
		{"stopped for long, then killed", f.stopThenKill},
		{"stopped for a moment", f.stopShort},
	}
}

func (f *fleet) any() *replica { return f.replicas[rand.IntN(len(f.replicas))] }

func (f *fleet) disturb(kind, source string, shard int, from, to time.Time) {
	f.disturbed = append(f.disturbed, disturbance{kind, source, shard, from, to})
}

// recovered waits until the replicas given hold everything and every token is
// live, and notes how long that took.
func (f *fleet) recovered(t *testing.T, since time.Time, what string, of ...*replica) {
	t.Helper()
	f.awaitHeld(t, since, recoverWithin, what, of...)
	f.awaitLive(t, since, recoverWithin, what)
	f.slowest = max(f.slowest, time.Since(since)-f.meter.since(since))
}

// even waits until the shards are spread again. What was taken beyond a share,
// because nobody else did, stays for a while.
func (f *fleet) even(t *testing.T, what string) {
	t.Helper()
	since := time.Now()
	f.awaitEven(t, since, 4*leaseDuration+5*time.Second, what, f.replicas...)
	took := time.Since(since) - f.meter.since(since)
	f.slowEven = max(f.slowEven, took)
	t.Logf("%s: spread evenly after another %.2f s", what, took.Seconds())
}

// pause lets a round begin at no particular moment.
func pause() { time.Sleep(rand.N(300 * time.Millisecond)) }

func (f *fleet) killOne(t *testing.T, what string) {
	t.Helper()
	pause()
	r := f.any()
	from := time.Now()
	r.Kill()
	f.disturb("kill", r.source(), -1, from, time.Now())
	r.start(t)
	f.recovered(t, from, what, f.replicas...)
	f.even(t, what)
}

func (f *fleet) stopLong(t *testing.T, what string) {
	t.Helper()
	pause()
	r := f.any()
	from := f.stopUntilOthersHaveAll(t, r, what)
	r.Signal(t, syscall.SIGCONT)
	woke := time.Now()
	f.disturb("stop", r.source(), -1, from, woke.Add(hearsWithin))
	f.recovered(t, woke, what, f.replicas...)
	f.even(t, what)
}

func (f *fleet) stopThenKill(t *testing.T, what string) {
	t.Helper()
	pause()
	r := f.any()
	from := f.stopUntilOthersHaveAll(t, r, what)
	r.Kill()
	f.disturb("stop", r.source(), -1, from, time.Now())
	r.start(t)
	f.recovered(t, time.Now(), what, f.replicas...)
	f.even(t, what)
}

// stopUntilOthersHaveAll leaves a replica stopped for longer than it may be unheard
// of, and then for as long again as it takes to tell late acts from early ones.
func (f *fleet) stopUntilOthersHaveAll(t *testing.T, r *replica, what string) (from time.Time) {
	t.Helper()
	from = time.Now()
	r.Signal(t, syscall.SIGSTOP)
	f.recovered(t, from, what, r.others()...)
	time.Sleep(hearsWithin + 500*time.Millisecond)
	return from
}

// stopShort: a replica that is stopped for less than its Leases last keeps them,
// and nothing is excused.
func (f *fleet) stopShort(t *testing.T, what string) {
	t.Helper()
	pause()
	r := f.any()
	from := time.Now()
	r.Signal(t, syscall.SIGSTOP)
	time.Sleep(leaseDuration / 6)
	r.Signal(t, syscall.SIGCONT)
	f.recovered(t, from, what, f.replicas...)
	f.even(t, what)
}

// steal writes somebody who does nothing into some of a replica's Leases.
func (f *fleet) steal(t *testing.T, what string, most int) {
	t.Helper()
	pause()
	r := f.any()
	stolen := r.holdsNow()
	stolen = stolen[:min(most, len(stolen))]
	var first time.Time
	for _, name := range stolen {
		from := time.Now()
		if first.IsZero() {
			first = from
		}
		f.stealLease(t, name)
		for shard := range f.shards {
			if name == (&judge{facts: facts{plan: f.plan}}).leaseName(shard) {
				f.disturb("theft", "", shard, from, time.Now().Add(hearsWithin))
			}
		}
	}
	f.recovered(t, time.Now(), what, f.replicas...)
	f.even(t, what)
}

func (f *fleet) stealLease(t *testing.T, name string) {
	t.Helper()
	leases := f.client.CoordinationV1().Leases(f.namespace)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		l, err := leases.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		l.Spec.HolderIdentity = new(thief)
		l.Spec.RenewTime = &metav1.MicroTime{Time: time.Now()}
		_, err = leases.Update(ctx, l, metav1.UpdateOptions{})
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			t.Fatal(err)
		}
	}
}
