package replicas

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/strict"
)

const (
	// A replica hears by its watch that its Lease was stolen, and what it had
	// sent before may arrive later.
	hearsWithin = time.Second
	// A request may be handled after its sender was killed.
	underway = time.Second
	// What is due within a share of its lifetime goes along with what is due, and a
	// clock ticks in milliseconds.
	slackShare = 0.01
	mostSlack  = 400 * time.Millisecond
	tick       = 10 * time.Millisecond
)

// thief is who steals Leases, and outage what is nobody's fault.
const (
	thief  = "thief"
	outage = "outage"
)

// disturbance is what the test did, and to whom.
type disturbance struct {
	kind     string
	source   string // an incarnation; empty: whoever holds the shard
	shard    int    // -1: all
	from, to time.Time
}

// facts are all that is known after a run.
type facts struct {
	plan
	*history
	journal   []strict.Entry
	byRefresh map[string]*strict.Issue
	byAccess  map[string]*strict.Issue
	disturbed []disturbance
	lost      map[string]int // answers that an incarnation says it waited for in vain, by "source token"
	patches   testbed.Requests
	late      func(from, to time.Time) time.Duration // see meter
	ended     time.Time
}

// tally is what was seen and is nobody's fault.
type tally struct {
	logins, refreshes int
	writes            int // of sinks
	relogins          int
	ambiguous         int // requests whose answer was never kept
	unsent            int // intents without a request
	replays           int // superseded refresh tokens that were presented
	delayed           int // requests that were under way when their sender was stopped
	delayedWrites     int
	timeouts          int // answers that a healthy replica waited for in vain
	unprovoked        int // Leases that went to another although nobody had done anything
	slowest           time.Duration
}

// judge compares what the replicas did with what they may do.
type judge struct {
	facts
	tally
	faults  []string
	remarks []string
}

func (j *judge) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// run judges everything. deadFor is how long a token may be dead.
func (j *judge) run(deadFor time.Duration) {
	j.faults = append(j.faults, j.problems...)
	byUser := map[string][]*strict.Entry{}
	for i := range j.journal {
		e := &j.journal[i]
		if e.Kind != strict.Login && e.Kind != strict.Refresh && e.Kind != strict.Reuse {
			j.fault("%s: a request that no replica may send, by %s", e.Kind, e.Source)
			continue
		}
		byUser[e.User] = append(byUser[e.User], e)
	}
	j.countUnprovoked()
	for _, user := range slices.Sorted(maps.Keys(byUser)) {
		t := newTrial(j, user, byUser[user])
		t.recordOnlyGoesOn()
		t.requests()
		t.sinkFollowsRecord()
		t.dead(deadFor)
		t.writers()
	}
}

func (j *judge) String() string {
	return fmt.Sprintf("%d logins, %d refreshes, %d writes of sinks; %d answers never kept, %d intents never sent, %d logins and %d replays after those; "+
		"under way when their sender was stopped: %d requests, %d writes; %d answers timed out; %d Leases went astray by themselves; a token was dead for at most %.2f s",
		j.logins, j.refreshes, j.writes, j.ambiguous, j.unsent, j.relogins, j.replays, j.delayed, j.delayedWrites, j.timeouts, j.unprovoked, j.slowest.Seconds())
}

// excused reports whether somebody did something to a source, or to a shard,
// between two instants. Without a source it is about all of them.
func (j *judge) excused(source string, shard int, from, to time.Time) bool {
	for _, d := range j.disturbed {
		if (d.source == "" || source == "" || d.source == source) && (d.shard < 0 || d.shard == shard) &&
			!d.from.After(to) && !d.to.Before(from) {
			return true
		}
	}
	return j.overtaken(source, shard, from, to)
}

// overtaken reports whether another took a Lease that was not given up.
func (j *judge) overtaken(source string, shard int, from, to time.Time) bool {
	all := j.leases[j.leaseName(shard)]
	for i := 1; i < len(all); i++ {
		if all[i].holder != "" && all[i-1].holder != "" && (source == "" || strings.HasPrefix(all[i-1].holder, source+"_")) &&
			!all[i].from.Before(from.Add(-leaseDuration)) && !all[i].from.After(to) {
			return true
		}
	}
	return false
}

func (j *judge) countUnprovoked() {
	for shard := range j.shards {
		all := j.leases[j.leaseName(shard)]
		for i := 1; i < len(all); i++ {
			was, _, _ := strings.Cut(all[i-1].holder, "_")
			if was != "" && was != thief && all[i].holder != "" && !j.provoked(was, shard, all[i].from) {
				j.unprovoked++
				j.remarks = append(j.remarks, fmt.Sprintf("shard %d went from %s to %s at %s by itself", shard, was, all[i].holder, clock(all[i].from)))
			}
		}
	}
}

func (j *judge) provoked(source string, shard int, at time.Time) bool {
	for _, d := range j.disturbed {
		if (d.source == "" || d.source == source) && (d.shard < 0 || d.shard == shard) && !d.from.After(at.Add(time.Second)) && !at.After(d.to.Add(recoverWithin)) {
			return true
		}
	}
	return false
}

func (j *judge) leaseName(shard int) string {
	if j.shards == 1 {
		return "tokend"
	}
	return leasePrefix + fmt.Sprint(shard)
}

// held reports whether a source held a shard at some instant of the last moment
// before at. lost is the revision at which it lost it last, 0 when it never had it.
func (j *judge) held(source string, shard int, at time.Time) (ok bool, lost uint64) {
	all := j.leases[j.leaseName(shard)]
	for i, h := range all {
		if !strings.HasPrefix(h.holder, source) || h.from.After(at) {
			continue
		}
		if i+1 == len(all) || !all[i+1].from.Before(at.Add(-hearsWithin)) {
			return true, 0
		}
		lost = all[i+1].revision
	}
	return false, lost
}

// ambiguous returns the token of a log line about an answer that was lost.
func ambiguous(line []byte) string {
	var l struct{ Token, Class string }
	if json.Unmarshal(line, &l) != nil || l.Class != token.Ambiguous.String() {
		return ""
	}
	return l.Token
}

// verdict judges a fleet whose replicas have ended.
func (f *fleet) verdict(t *testing.T, ended time.Time, deadFor time.Duration) *judge {
	t.Helper()
	f.server.Settle(t)
	all, err := f.cluster.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j := &judge{facts: facts{
		plan: f.plan, history: f.history.copied(), lost: f.lost(), ended: ended, disturbed: f.disturbed, late: f.meter.between,
		patches: all.In(f.namespace).Where(func(r testbed.Request) bool { return r.Verb == "patch" && r.Resource == "secrets" }),
	}}
	f.server.Lock()
	j.journal, j.byRefresh, j.byAccess = slices.Clone(f.server.Journal), maps.Clone(f.server.ByRefresh), maps.Clone(f.server.ByAccess)
	f.server.Unlock()
	j.run(deadFor)
	for _, remark := range j.remarks {
		t.Log(remark)
	}
	for i, fault := range j.faults {
		if i == 30 {
			t.Errorf("and %d more", len(j.faults)-i)
			break
		}
		t.Error(fault)
	}
	return j
}
