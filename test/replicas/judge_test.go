package replicas

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/ha"
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
	faults []string
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

// trial is the judgement of one token.
type trial struct {
	*judge
	user    string
	shard   int
	entries []*strict.Entry
	records []version
	kept    map[*strict.Issue]token.Record // the issues that a record ever held, as it did first
	intents map[[sha256.Size]byte][]uint64 // revisions of the intents for a refresh token
	access  map[string]uint64              // revision from which on a record held it
}

func newTrial(j *judge, user string, entries []*strict.Entry) *trial {
	t := &trial{
		judge: j, user: user, shard: ha.ShardOf(user, j.shards), entries: entries, records: j.records[user],
		kept: map[*strict.Issue]token.Record{}, intents: map[[sha256.Size]byte][]uint64{}, access: map[string]uint64{},
	}
	for _, v := range t.records {
		r := v.record
		if i := j.byRefresh[r.RefreshToken.Reveal()]; i != nil {
			if _, known := t.kept[i]; !known {
				t.kept[i] = r
			}
		}
		if r.Intent != nil {
			t.intents[r.Intent.Spent] = append(t.intents[r.Intent.Spent], v.revision)
		}
		if access := r.AccessToken.Reveal(); t.access[access] == 0 {
			t.access[access] = v.revision
		}
	}
	return t
}

func (t *trial) fault(format string, args ...any) {
	t.judge.fault("%s (shard %d): %s", t.user, t.shard, fmt.Sprintf(format, args...))
}

// recordOnlyGoesOn: no write of a record puts an earlier answer back.
func (t *trial) recordOnlyGoesOn() {
	order := map[*strict.Issue]int{}
	for i, e := range t.entries {
		if e.Issued != nil {
			order[e.Issued] = i
		}
	}
	last := -1
	for _, v := range t.records {
		held := t.byRefresh[v.record.RefreshToken.Reveal()]
		switch {
		case v.faulty != nil:
			t.fault("a record cannot be read: %v", v.faulty)
		case held == nil || held.Family.User != t.user:
			t.fault("the record holds a refresh token that was never issued for it")
		case order[held] < last:
			t.fault("the record went back from answer %d to answer %d", last, order[held])
		default:
			last = order[held]
		}
	}
}

func (t *trial) requests() {
	presented := map[string][]*strict.Entry{}
	var before *strict.Entry
	for _, e := range t.entries {
		ok, lost := t.held(e.Source+"_", t.shard, e.Arrived)
		switch {
		case !ok:
			t.lateRequest(e, lost)
		case e.Kind == strict.Login:
			t.login(before, e)
		case e.Kind == strict.Reuse:
			t.reuse(presented[e.Refresh], e)
		default:
			t.refresh(before, e, len(presented[e.Refresh]))
		}
		if e.Refresh != "" {
			presented[e.Refresh] = append(presented[e.Refresh], e)
		}
		if ok {
			before = e
		}
	}
}

// open reports whether nobody kept what a request brought, which must have a
// reason.
func (t *trial) open(e, next *strict.Entry) bool {
	if e.Issued == nil {
		return false
	}
	if _, kept := t.kept[e.Issued]; kept {
		return false
	}
	if t.lost[e.Source+" "+t.user] > 0 {
		t.lost[e.Source+" "+t.user]--
		t.timeouts++
	} else if !t.excused(e.Source, t.shard, e.Arrived.Add(-underway), next.Arrived) {
		t.fault("nobody kept the answer that %s got at %s, and nothing had been done to it", e.Source, clock(e.Arrived))
	}
	t.ambiguous++
	return true
}

func (t *trial) login(before, e *strict.Entry) {
	t.logins++
	if before == nil {
		return
	}
	t.relogins++
	switch {
	case before.Issued == nil: // its refresh was refused, which has been judged
	case t.open(before, e):
	case len(t.intents[sha256.Sum256([]byte(before.Issued.Refresh))]) > 0 && t.excused("", t.shard, before.Arrived.Add(-underway), e.Arrived):
		t.unsent++
	default:
		t.fault("%s logged in at %s although its family was alive and no attempt was ambiguous", e.Source, clock(e.Arrived))
	}
}

func (t *trial) reuse(earlier []*strict.Entry, e *strict.Entry) {
	t.replays++
	if len(earlier) == 0 || !t.open(earlier[len(earlier)-1], e) {
		t.fault("%s presented a superseded refresh token at %s, and no attempt was ambiguous", e.Source, clock(e.Arrived))
	}
}

func (t *trial) refresh(before, e *strict.Entry, presented int) {
	t.refreshes++
	shown := t.byRefresh[e.Refresh]
	if len(t.intents[sha256.Sum256([]byte(e.Refresh))]) <= presented {
		t.fault("%s spent a refresh token at %s without a durable intent", e.Source, clock(e.Arrived))
	}
	switch {
	case before != nil && before.Issued == shown:
		if due := t.due(shown); e.Arrived.Before(due) {
			t.fault("%s refreshed at %s, %v before it was due", e.Source, clock(e.Arrived), due.Sub(e.Arrived))
		}
	case before == nil || before.Issued != nil && !t.open(before, e):
		t.fault("%s went on at %s from an answer that is not the newest one", e.Source, clock(e.Arrived))
	}
}

// due is the first instant at which the schedule may ask for a refresh.
func (t *trial) due(i *strict.Issue) time.Time {
	r, kept := t.kept[i]
	if !kept {
		return time.Time{}
	}
	wait := time.Duration(float64(t.lifetime) * refreshAt)
	spread := time.Duration(float64(t.lifetime) * jitter)
	if r.Cold {
		spread = wait / 2
	}
	return r.IssuedAt.Add(wait - spread - 100*time.Millisecond) // a clock of the record has whole milliseconds at best
}

// lateRequest is one whose sender held no Lease. That is only allowed for what was
// already made durable when it lost it.
func (t *trial) lateRequest(e *strict.Entry, lost uint64) {
	t.delayed++
	intents := t.intents[sha256.Sum256([]byte(e.Refresh))]
	if !t.excused(e.Source, t.shard, e.Arrived.Add(-recoverWithin), e.Arrived) || e.Refresh != "" && (len(intents) == 0 || intents[0] > lost) {
		t.fault("%s sent a %s at %s without its Lease", e.Source, e.Kind, clock(e.Arrived))
	}
}

// sinkFollowsRecord: what is published was persisted before, and no generation
// comes after a later one.
func (t *trial) sinkFollowsRecord() {
	generation := uint64(0)
	for _, w := range t.sinks[t.user] {
		t.writes++
		if w.generation < generation {
			t.fault("the sink went back from generation %d to %d", generation, w.generation)
		}
		generation = w.generation
		// When the state fails after an answer, the answer is published from memory:
		// it is all there is.
		if kept := t.access[w.access]; (kept == 0 || kept > w.revision) && !t.duringOutage(w.seen) {
			t.fault("the sink held generation %d before the record did", w.generation)
		}
	}
}

func (t *trial) duringOutage(at time.Time) bool {
	return slices.ContainsFunc(t.disturbed, func(d disturbance) bool {
		return d.kind == outage && d.from.Before(at) && at.Before(d.to.Add(recoverWithin))
	})
}

// dead looks how long the sink held a token that was not live.
func (t *trial) dead(most time.Duration) {
	var since time.Time
	note := func(until time.Time) {
		if since.IsZero() {
			return
		}
		t.slowest = max(t.slowest, until.Sub(since)-t.late(since, until))
		if until.Sub(since) > most+t.late(since, until) {
			t.fault("its token was dead for %v from %s on", until.Sub(since), clock(since))
		}
	}
	all := t.sinks[t.user]
	for i, w := range all {
		issue, next := t.byAccess[w.access], t.ended
		if i+1 < len(all) {
			next = all[i+1].seen
		}
		if issue == nil {
			t.fault("the sink held what was never issued")
			continue
		}
		if issue.Until().After(w.seen) {
			note(w.seen)
			since = time.Time{}
		}
		if since.IsZero() && issue.Until().Before(next) {
			since = later(issue.Until(), w.seen)
		}
	}
	note(t.ended)
}

// writers: a sink is written by who holds the shard. A write that was under way
// when its sender was stopped follows a request of its own.
func (t *trial) writers() {
	for _, p := range t.patches {
		if p.Name != t.user || p.Code != 200 {
			continue
		}
		name := p.User[strings.LastIndex(p.User, ":")+1:]
		if ok, _ := t.held(name+"-", t.shard, p.At); ok {
			continue
		}
		t.delayedWrites++
		if !slices.ContainsFunc(t.entries, func(e *strict.Entry) bool {
			return strings.HasPrefix(e.Source, name+"-") && e.Arrived.Before(p.At) &&
				slices.ContainsFunc(t.disturbed, func(d disturbance) bool {
					return d.source == e.Source && d.from.Before(p.At) && e.Arrived.After(d.from.Add(-2*time.Second))
				})
		}) {
			t.fault("%s wrote the sink at %s without the Lease", name, clock(p.At))
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

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
	for i, fault := range j.faults {
		if i == 30 {
			t.Errorf("and %d more", len(j.faults)-i)
			break
		}
		t.Error(fault)
	}
	return j
}
