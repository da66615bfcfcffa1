package refresher

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// entry is one token as it runs. The Refresher's lock guards it; while busy is
// set, one worker is on the road for it and alone may replace rec. There are
// thousands of entries: what few of them need is kept apart.
type entry struct {
	spec *Spec
	rec  token.Record

	next alarm  // the next attempt
	save *saver // nil until it was needed

	place     int32 // in the lane's queue, from 1; 0 when not waiting there
	failures  int32 // in a row
	stale     int32 // generations in a row that had expired on arrival
	busy      bool  // an attempt, or a save, is under way
	doing     kind  // what the attempt does
	retired   bool
	released  bool // retired here, because another replica keeps it
	wantLogin bool // log in anew, even if a refresh token is held
	urgent    bool // a person asked for a login during an attempt: it follows at once
	unsaved   bool // rec is newer than what the store holds

	// Of the refresh token that is held:
	replayable bool // an answer said that it was not spent, or not for certain
	lateReplay bool // its one late replay is planned or was made
	dead       bool // refused for good; only a person can go on

	planned   time.Time  // the instant the current or last attempt was due
	floor     time.Time  // no request before: hot-loop immunity
	fruitful  time.Time  // the last success
	expiredAt time.Time  // generation's expiry that was already reported
	due       *time.Time // while there are failures, when the first of these attempts was
	problem   *token.Problem
	attempts  uint64
	refreshes uint64
	logins    uint64

	deliveries []*delivery
	hook       *hookRun // nil until it was needed
	probe      *probing // nil until it was needed
	lapse      *lapse   // nil until it was needed
	waiters    []chan<- error
}

func newEntry(s *Spec) *entry {
	e := &entry{spec: s}
	e.next.wakes = e
	e.equip()
	return e
}

// equip makes what the token's Spec needs beside the token itself. Most tokens
// of a fleet need none of it.
func (e *entry) equip() {
	if e.spec.Hook != nil && e.hook == nil {
		e.hook = &hookRun{entry: e}
		e.hook.retry.wakes = e.hook
	}
	if e.spec.Probe != nil && e.probe == nil {
		e.probe = &probing{entry: e}
		e.probe.alarm.wakes = e.probe
	}
}

// notified is the last generation that the hook has run for.
func (e *entry) notified() uint64 {
	if e.hook == nil {
		return e.rec.Notified
	}
	return max(e.rec.Notified, e.hook.ran)
}

func (e *entry) lane(r *Refresher) *lane { return r.lanes[e.spec.Provider] }

// wake puts the token into its lane: its next attempt is due.
func (e *entry) wake(r *Refresher, now time.Time) {
	if e.retired || e.busy || e.place != 0 {
		return
	}
	l := e.lane(r)
	l.enqueue(e, now)
	r.touched[l] = struct{}{}
}

// kind is what an attempt does.
type kind uint8

const (
	none kind = iota
	login
	refresh
)

func (k kind) String() string {
	return [...]string{"", "login", "refresh"}[k]
}

func (e *entry) usesRefresh() bool {
	return e.spec.Policy.UseRefresh && !e.rec.RefreshToken.IsEmpty() && e.rec.Binding == e.spec.Binding
}

func (e *entry) needsHuman() bool { return !e.spec.Source.Seed().IsEmpty() }

// choose decides what the next attempt does.
func (e *entry) choose(now time.Time) kind {
	switch {
	case e.needsHuman():
		if e.usesRefresh() && !e.dead {
			return refresh
		}
		return none
	case e.wantLogin || !e.usesRefresh() || e.rec.Intent != nil && !e.mayReplay(now):
		return login
	default:
		return refresh
	}
}

// mayReplay tells whether a refresh token whose answer was lost may be presented
// again without a login being the better way.
func (e *entry) mayReplay(now time.Time) bool {
	if e.replayable || e.rec.Rotation == token.RotationNone {
		return true
	}
	grace := e.spec.Policy.Grace
	return grace > 0 && now.Before(e.rec.Intent.Started.Add(grace))
}

// adopt takes up a stored record and plans the first instant. Start-up makes no
// request for a token that is still fresh, and where a refresh is overdue it
// does not make them all at once.
func (e *entry) adopt(rec token.Record, now time.Time) {
	e.rec = rec
	e.seed()
	u := phase(e.spec.Name, rec.Generation)
	at, wantLogin := e.plan(now)
	switch {
	case rec.AccessToken.IsEmpty() || rec.Binding != e.spec.Binding:
		at = now
	case rec.Intent != nil: // an attempt whose outcome nobody knows
		at = now
		if e.needsHuman() && rec.Valid(now) {
			at = e.lateInstant(now)
		}
	case rec.IssuedAt.After(now.Add(stepTolerance)): // the clock was behind when we wrote it, or is now
		at = now.Add(scale(maxNap, u))
	case !at.After(now) && rec.Valid(now):
		at = now.Add(scale(min(rec.ExpiresAt.Sub(now)/4, maxNap), u))
	}
	e.wantLogin = wantLogin
	e.next.at = at
}

// First tells what a start does with a token and its stored record, "login",
// "refresh" or nothing, and when it is planned.
func First(s *Spec, rec token.Record, now time.Time) (kind string, at time.Time) {
	e := newEntry(s)
	e.adopt(rec, now)
	return e.choose(now).String(), e.next.at
}

// seed begins a family with the configured refresh token, unless this family
// already did.
func (e *entry) seed() (fresh bool) {
	s := e.spec.Source.Seed()
	if s.IsEmpty() || e.rec.Seed == s.Sum() && e.rec.Binding == e.spec.Binding {
		return false
	}
	e.rec.RefreshToken, e.rec.Seed, e.rec.Binding = s, s.Sum(), e.spec.Binding
	e.rec.Rotation, e.rec.Intent = token.RotationUnknown, nil
	e.replayable, e.lateReplay, e.dead = false, false, false
	return true
}

// plan is the next regular instant of a token, and whether it is a login.
func (e *entry) plan(now time.Time) (at time.Time, wantLogin bool) {
	s := &e.spec.Policy.Schedule
	at = s.refreshAt(e.rec.Token, e.rec.Cold, e.spec.propagation(), phase(e.spec.Name, e.rec.Generation))
	from := latest(now, e.planned) // an attempt in company comes a little before its instant
	at = earliest(at, nextCron(s.Cron, from))
	if l := nextCron(s.LoginCron, from); !l.IsZero() && !l.After(at) {
		return l, true
	}
	return at, false
}

// slack is how much earlier than planned a regular refresh may start. An instant
// that a person has named is kept.
func (e *entry) slack() time.Duration {
	if s := &e.spec.Policy.Schedule; len(s.Cron)+len(s.LoginCron) > 0 {
		return 0
	}
	return min(mostSlack, scale(e.rec.Lifetime(), slackShare))
}

// lateInstant is shortly before the access token expires: by then some servers
// take a refresh that they refused before, and nothing is lost by a replay.
func (e *entry) lateInstant(now time.Time) time.Time {
	rest := e.rec.ExpiresAt.Sub(now)
	if rest <= 0 {
		return now.Add(replayFirst)
	}
	return now.Add(rest - min(rest/5, e.spec.Policy.Schedule.Lead, 30*time.Second))
}
