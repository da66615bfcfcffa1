package replicas

import (
	"maps"
	"testing"
	"time"

	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/strict"
)

// TestReplicasSurviveOutagesOfTheAPIServer has an API server of its own. One that
// hangs keeps the watches of the test open, so that every version is judged; of
// one that is killed, the server's journal tells enough.
func TestReplicasSurviveOutagesOfTheAPIServer(t *testing.T) {
	t.Parallel()
	own := testbed.Own(t)
	f := newFleet(t, own, plan{shards: 8, tokens: 60, lifetime: 10 * time.Second, pace: 200 * time.Millisecond}, "a", "b")
	f.begin(t)

	before := f.history.holders()
	f.hang(t, own, leaseDuration/4)
	f.recovered(t, time.Now(), "a short outage", f.replicas...)
	if after := f.history.holders(); !maps.Equal(before, after) {
		t.Errorf("a short outage moved Leases: %v, then %v", before, after)
	}

	const long = 3 * leaseDuration
	f.hang(t, own, long)
	f.recovered(t, time.Now(), "a long outage", f.replicas...)
	f.even(t, "a long outage")
	time.Sleep(f.lifetime / 2) // long enough to be asked for once more
	ended := time.Now()
	f.end(t)
	j := f.verdict(t, ended, recoverWithin)
	t.Logf("%s; all held and live again %.2f s after the API server", j, f.slowest.Seconds())

	killed := newFleet(t, own, plan{shards: 8, tokens: 60, lifetime: 10 * time.Second, pace: 200 * time.Millisecond}, "a", "b")
	killed.begin(t)
	own.KillAPIServer()
	time.Sleep(leaseDuration)
	if err := own.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	killed.recovered(t, back, "after its kill", killed.replicas...)
	killed.even(t, "after its kill")
	killed.end(t)
	lost := 0
	for _, n := range killed.lost() {
		lost += n
	}
	if reuse, logins := killed.server.Count(strict.Reuse), killed.server.Count(strict.Login); reuse > 0 || logins > killed.tokens+lost {
		t.Errorf("%d refresh tokens were presented twice, and there were %d logins for %d tokens, with %d answers lost", reuse, logins, killed.tokens, lost)
	}
	t.Logf("all held and live again %.2f s after the API server was started", killed.slowest.Seconds())
}

// hang has the API server stand still for a while.
func (f *fleet) hang(t *testing.T, own *testbed.Cluster, d time.Duration) {
	t.Helper()
	from := time.Now()
	if err := own.PauseAPIServer(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(d)
	if err := own.ResumeAPIServer(); err != nil {
		t.Fatal(err)
	}
	f.disturb(outage, "", -1, from, time.Now().Add(hearsWithin))
}
