package refresher

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// fail notes an attempt that brought nothing and plans the next one. The access
// token and its expiry stay as they are.
func (r *Refresher) fail(e *entry, t *try) {
	f := failure(t.err)
	r.mu.Lock()
	now := r.settleClock(t)
	generation := e.rec.Generation
	notified := e.notified()
	e.rec = t.rec
	e.rec.Notified = max(e.rec.Notified, notified)
	if e.failures++; e.failures == 1 {
		due := e.planned
		e.due = &due
	}
	e.problem = problemOf(t.err, now)
	throttled := r.tell(t.lane, f, now)
	var at time.Time
	human := false
	if t.kind == refresh {
		at, human = e.afterRefresh(f, t, now)
	} else {
		at = e.afterLogin(f, t, now)
	}
	if f.Status != 0 && !at.IsZero() {
		e.floor = latest(e.floor, t.started).Add(t.spec.Policy.Schedule.MinInterval)
		at = latest(at, earliest(e.floor, now.Add(10*time.Minute)))
	}
	ev := Event{Kind: AttemptFailed, At: now, Token: t.spec.Name, Provider: t.spec.Provider, Generation: generation,
		ExpiresAt: t.rec.ExpiresAt, Planned: e.planned, Took: t.read.Sub(t.started), Class: f.Class, Detail: t.kind.String(), Err: t.err, Course: t.went()}
	r.release(e, t.spec, at)
	ev.Next = e.next.at
	expired, lapsed := e.ranOut(now), e.expired(now)
	r.answerWaiters(e, t.err)
	r.mu.Unlock()

	r.emit(ev)
	if throttled {
		r.emit(Event{Kind: Throttled, At: now, Token: t.spec.Name, Provider: t.spec.Provider, Took: f.RetryAfter})
	}
	if human {
		r.emit(Event{Kind: NeedsHuman, At: now, Token: t.spec.Name, Provider: t.spec.Provider, ExpiresAt: t.rec.ExpiresAt, Err: t.err})
	}
	if expired {
		r.emit(lapsed)
	}
}

// tell lets the lane learn from a failure.
func (r *Refresher) tell(l *lane, f *token.Failure, now time.Time) (throttled bool) {
	switch {
	case f.Class == token.Transient:
		return l.throttled(now, f.RetryAfter)
	case f.Class == token.Rejected || f.Class == token.Misconfigured:
		l.answered(now)
	case f.Reason != "state" && f.Reason != "panic" && f.Reason != "standby":
		l.lost()
	}
	return false
}

func (e *entry) situation(now time.Time, t *try) situation {
	s := situation{now: now, failures: int(e.failures), minInterval: t.spec.Policy.Schedule.MinInterval,
		u: phase(t.spec.Name, e.rec.Generation<<16+e.attempts)}
	if !e.rec.AccessToken.IsEmpty() {
		s.expires = e.rec.ExpiresAt
	}
	return s
}

// afterRefresh plans the attempt after a refresh that failed; a zero instant
// means that only a person can go on.
//
// Where the answer was lost, the refresh token may be spent. It is presented
// again within the server's grace or where the server does not rotate, and when
// the server itself said that it failed (5xx). Otherwise a login is the safe
// way; where that needs a person, the live token is served and one replay is
// spent late, when nothing is lost by it.
func (e *entry) afterRefresh(f *token.Failure, t *try, now time.Time) (at time.Time, human bool) {
	s := e.situation(now, t)
	lost := f.Class == token.Ambiguous
	if lost {
		e.replayable = f.Status >= 500 || t.rec.Intent == nil
	}
	switch {
	case lost && f.Status == 0 && e.mayReplay(now):
		return now.Add(replayFirst + scale(replaySpan, s.u)), false
	case !e.needsHuman(), lost && e.mayReplay(now), !lost && f.Class != token.Rejected:
		return now.Add(retryIn(f, false, s)), false
	}
	return e.lastChance(f, s)
}

// lastChance plans the one late replay of a refresh token that only a person
// can replace: for an answer that was lost, and for servers that refuse a
// refresh while the access token is still good.
func (e *entry) lastChance(f *token.Failure, s situation) (at time.Time, human bool) {
	if !e.lateReplay && (f.Class != token.Rejected || s.remaining() > 0) {
		e.lateReplay = true
		return e.lateInstant(s.now), true
	}
	if f.Class == token.Rejected {
		e.dead = true
		return time.Time{}, true
	}
	return s.now.Add(retryIn(f, false, s)), true
}

// afterLogin plans the attempt after a login that failed. A login that was
// refused leaves a refresh token that is still held as the better way, even one
// whose last answer was lost.
func (e *entry) afterLogin(f *token.Failure, t *try, now time.Time) time.Time {
	if f.Class == token.Rejected || f.Class == token.Misconfigured {
		e.replayable = true
	} else {
		e.wantLogin = e.wantLogin || t.wanted
	}
	return now.Add(retryIn(f, true, e.situation(now, t)))
}

// release ends what was done under the given Spec: the entry may be woken again,
// at the instant given or sooner when the configuration changed meanwhile.
func (r *Refresher) release(e *entry, under *Spec, at time.Time) {
	e.busy, e.doing = false, none
	if e.spec != under {
		at = r.respec(e, under, at)
	}
	if e.unsaved {
		r.planSave(e, 1)
	}
	if e.retired {
		r.settle(e)
		return
	}
	if e.urgent {
		at = r.now()
	}
	r.set(&e.next, at)
	r.planLapse(e)
	r.broadcast()
}

// lapse reports the end of an access token that is not replaced in time.
type lapse struct {
	entry *entry
	alarm alarm
}

// planLapse waits for the expiry when the next attempt comes only after it.
func (r *Refresher) planLapse(e *entry) {
	if !e.rec.Valid(r.now()) || !e.next.at.IsZero() && !e.next.at.After(e.rec.ExpiresAt) {
		if e.lapse != nil {
			r.alarms.clear(&e.lapse.alarm)
		}
		return
	}
	if e.lapse == nil {
		e.lapse = &lapse{entry: e}
		e.lapse.alarm.wakes = e.lapse
	}
	r.set(&e.lapse.alarm, e.rec.ExpiresAt)
}

func (l *lapse) wake(r *Refresher, now time.Time) {
	e := l.entry
	if e.retired || !e.ranOut(now) {
		return
	}
	ev := e.expired(now)
	r.broadcast()
	r.jobs.Go(func() { r.emit(ev) })
}

func (e *entry) expired(now time.Time) Event {
	return Event{Kind: Expired, At: now, Token: e.spec.Name, Provider: e.spec.Provider, Generation: e.rec.Generation, ExpiresAt: e.rec.ExpiresAt}
}

// ranOut reports, once per generation, that the access token has expired.
func (e *entry) ranOut(now time.Time) bool {
	if e.rec.AccessToken.IsEmpty() || now.Before(e.rec.ExpiresAt) || e.expiredAt.Equal(e.rec.ExpiresAt) {
		return false
	}
	e.expiredAt = e.rec.ExpiresAt
	return true
}
