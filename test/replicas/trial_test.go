package replicas

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/ha"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
)

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
	switch waited := e.Source + " " + t.user; {
	case t.excused(e.Source, t.shard, e.Arrived.Add(-underway), next.Arrived):
	case t.lost[waited] > 0:
		t.lost[waited]--
		t.timeouts++
	default:
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
	slack := min(mostSlack, time.Duration(float64(t.lifetime)*slackShare))
	return r.IssuedAt.Add(wait - spread - slack - tick)
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
