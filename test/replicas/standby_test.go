package replicas

import (
	"encoding/json"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

func (r *replica) replicaStatus(t *testing.T) (s control.Status) {
	t.Helper()
	// The exit code speaks of the tokens; the answer is there whatever it says.
	if out, _ := r.Command(t, "status", "--output", "json"); out != "" {
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatalf("read the status: %v\n%s", err, out)
		}
	}
	return s
}

// activeAndStandby are the two replicas of one shard.
func (f *fleet) activeAndStandby() (active, standby *replica) {
	active, standby = f.replicas[0], f.replicas[1]
	if len(active.holdsNow()) == 0 {
		active, standby = standby, active
	}
	return active, standby
}

func TestOneShardIsAnActiveReplicaAndStandbysThatAreReadyAndSaySo(t *testing.T) {
	t.Parallel()
	f := newFleet(t, cluster, plan{shards: 1, tokens: 3, lifetime: 2 * time.Minute}, "a", "b")
	f.begin(t)
	active, standby := f.activeAndStandby()
	f.standsBy(t, standby)
	tokend.Await(t, 10*time.Second, "the active replica is ready", func() bool {
		code, answer := active.ready(t)
		return code == 200 && !strings.Contains(answer, "standing by")
	})
	if out, err := active.Command(t, "status"); err != nil || !strings.Contains(out, "keeps 1 of 1 shard") {
		t.Errorf("the active replica says %v: %s", err, out)
	}

	active.Stop(t)
	f.awaitHeld(t, time.Now(), leaseDuration/2, "handed over", standby)
	standby.keepsAll(t)
	active.start(t)
	active, standby = standby, active
	f.standsBy(t, standby)

	from := time.Now()
	active.Kill()
	f.disturb("kill", active.source(), -1, from, time.Now())
	f.awaitHeld(t, from, recoverWithin, "taken over", standby)
	standby.keepsAll(t)
	if n := f.server.Requests(); n != f.tokens {
		t.Errorf("%d token requests for %d tokens that were live all the time", n, f.tokens)
	}
	active.start(t)
	f.standsBy(t, active)
	ended := time.Now()
	f.end(t)
	t.Log(f.verdict(t, ended, time.Second))
}

// standsBy waits until a replica says so, wherever it is asked.
func (f *fleet) standsBy(t *testing.T, r *replica) {
	t.Helper()
	var code int
	var answer string
	defer func() {
		if t.Failed() {
			t.Logf("%d %s", code, answer)
		}
	}()
	tokend.Await(t, 20*time.Second, "the standby is ready and says how much it stands by for", func() bool {
		code, answer = r.ready(t)
		return code == 200 && strings.Contains(answer, "standing by")
	})
	tokend.Await(t, 10*time.Second, "the standby knows of the other", func() bool {
		s := r.replicaStatus(t)
		return s.HA != nil && s.HA.Standby && len(s.HA.Members) == 2 && s.HA.Problem == ""
	})
	out, err := r.Command(t, "status")
	if err != nil || !strings.Contains(out, "stands by") || !strings.Contains(out, "2 replicas alive") {
		t.Errorf("the standby says %v: %s", err, out)
	}
	for _, s := range r.replicaStatus(t).Tokens {
		if s.State != token.StateStandby {
			t.Errorf("%s is %s at the standby", s.Name, s.State)
		}
	}
	if out, err := r.Command(t, "get", "tenant-000"); err == nil || out != "" || !strings.Contains(err.Error(), "another replica") {
		t.Errorf("the standby was asked for a token: %v", err)
	}
}

func (r *replica) keepsAll(t *testing.T) {
	t.Helper()
	tokend.Await(t, 10*time.Second, "the new owner keeps all tokens", func() bool {
		code, answer := r.ready(t)
		return code == 200 && !strings.Contains(answer, "standing by")
	})
}

// TestRollOutLeavesNoGap: as a Deployment does it, each new replica is there before
// an old one is told to end. Nothing excuses anything here.
func TestRollOutLeavesNoGap(t *testing.T) {
	t.Parallel()
	f := newFleet(t, cluster, plan{shards: 8, tokens: 60, lifetime: 10 * time.Second, pace: 40 * time.Millisecond}, "a", "b", "c")
	f.begin(t)
	for _, name := range []string{"d", "e", "f"} {
		time.Sleep(f.lifetime / 5) // so that some are refreshed on the way
		f.add(t, name, rules()...).start(t)
		f.awaitEven(t, time.Now(), 30*time.Second, name+" has come", f.replicas...)
		old := f.replicas[0]
		f.replicas, f.gone = f.replicas[1:], append(f.gone, old)
		told := time.Now()
		old.Signal(t, syscall.SIGTERM)
		f.awaitHeld(t, told, leaseDuration, old.name+" goes", f.replicas...)
		if code := old.Exit(t, 15*time.Second); code != 0 {
			t.Errorf("exit code %d at the roll-out of %s", code, name)
		}
		f.awaitEven(t, time.Now(), 30*time.Second, old.name+" has gone", f.replicas...)
		f.awaitLive(t, time.Now(), 5*time.Second, old.name+" has gone")
	}
	ended := time.Now()
	f.end(t)
	j := f.verdict(t, ended, 2*time.Second)
	t.Log(j)
	if j.refreshes == 0 {
		t.Error("nothing was refreshed: this proves little")
	}
	if j.relogins+j.replays+j.delayed+j.delayedWrites > j.timeouts {
		t.Error("a roll-out cost something")
	}
}

func TestReplicaWithoutRightsToLeasesSaysSoAndGoesOnWhenItHasThem(t *testing.T) {
	t.Parallel()
	f := newFleet(t, cluster, plan{shards: 2, tokens: 2, lifetime: time.Minute})
	r := f.add(t, "a", secretRule())
	r.start(t)
	tokend.Await(t, 30*time.Second, "the missing right is named", func() bool {
		return strings.Contains(strings.ReplaceAll(string(r.Log.Bytes()), `\`, ""), `resources: ["leases"], verbs: ["list"]`)
	})
	var s control.Status
	tokend.Await(t, 10*time.Second, "the status tells of it", func() bool {
		s = r.replicaStatus(t)
		return s.HA != nil && strings.Contains(s.HA.Problem, "leases")
	})
	if !s.HA.Standby || f.server.Requests() != 0 {
		t.Errorf("it stands by: %t, with %d token requests", s.HA.Standby, f.server.Requests())
	}
	f.cluster.Grant(t, f.namespace, f.namespace, "a", rules()...)
	f.awaitHeld(t, time.Now(), 20*time.Second, "granted", r)
	f.awaitLive(t, time.Now(), 20*time.Second, "granted")
	tokend.Await(t, 10*time.Second, "the status is good", func() bool { return r.replicaStatus(t).HA.Problem == "" })
	if n := f.server.Count(strict.Login); n != f.tokens {
		t.Errorf("%d logins", n)
	}
	r.Stop(t)
}
