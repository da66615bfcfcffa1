package refresher

import (
	"context"
	"errors"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// commit persists the new generation, then publishes it. When the disk fails
// between the two, the answer is all there is: it is kept in memory, published,
// and saved again until that succeeds.
func (r *Refresher) commit(e *entry, t *try) {
	odd := t.answer.Oddities
	next := t.coming
	if err := r.persist(e, t); errors.Is(err, token.ErrFenced) {
		next.dropped = true
		close(next.persisted)
		r.giveUp(e, t)
		return
	}

	r.mu.Lock()
	now := r.settleClock(t)
	notified := e.notified()
	e.rec = t.rec
	// Only now: a sink that published before would find the old record to be the
	// current one, and put the old token back.
	close(next.persisted)
	e.rec.Notified = max(e.rec.Notified, notified)
	e.failures, e.due, e.problem, e.fruitful = 0, nil, nil, now
	e.replayable, e.lateReplay, e.dead = false, false, false
	e.stale = arrivedStale(e.stale, t)
	ev := Event{Kind: Refreshed, At: now, Planned: e.planned, Took: t.read.Sub(t.started)}
	if t.kind == login {
		ev.Kind = LoggedIn
		e.logins++
	} else {
		e.refreshes++
	}
	t.lane.answered(now)
	for _, d := range e.deliveries {
		d.answered = t.read
		if d.coming != next {
			r.deliver(d)
		}
	}
	r.settled(e)
	r.release(e, t.spec, r.regular(e, t, now))
	ev.Token, ev.Provider, ev.Generation = t.spec.Name, t.spec.Provider, t.rec.Generation
	ev.ExpiresAt, ev.Next, ev.Course = t.rec.ExpiresAt, e.next.at, t.went()
	r.answerWaiters(e, nil)
	r.mu.Unlock()

	r.emit(ev)
	for _, o := range odd {
		r.emit(Event{Kind: Odd, Token: t.spec.Name, Provider: t.spec.Provider, Generation: t.rec.Generation, Detail: o})
	}
}

// renew turns the record into the next generation.
func (r *Refresher) renew(t *try) {
	a, rec := t.answer, &t.rec
	if !a.AccessToken.Equal(rec.AccessToken) {
		rec.Generation++
	}
	rec.AccessToken, rec.TokenType, rec.Scope = a.AccessToken, a.TokenType, a.Scope
	rec.IssuedAt, rec.ExpiresAt = a.IssuedAt.Round(0), a.ExpiresAt.Round(0)
	rec.Cold = !t.live
	rec.Binding = t.spec.Binding
	rec.Intent = nil
	if t.kind == refresh {
		rec.Rotation = rotation(rec.RefreshToken, a.RefreshToken)
	}
	switch {
	case !a.RefreshToken.IsEmpty():
		rec.RefreshToken = a.RefreshToken
	case t.kind == login:
		rec.RefreshToken = token.Secret{} // the old one belongs to another family
	}
}

func rotation(old, fresh token.Secret) token.Rotation {
	if fresh.IsEmpty() || fresh.Equal(old) {
		return token.RotationNone
	}
	return token.RotationSeen
}

// salvage keeps the refresh token of an answer whose access token is unusable.
func (r *Refresher) salvage(e *entry, t *try) error {
	t.rec.RefreshToken, t.rec.Intent, t.rec.Binding = t.answer.RefreshToken, nil, t.spec.Binding
	t.rec.Rotation = token.RotationSeen
	err := r.persist(e, t)
	r.emit(Event{Kind: Salvaged, Token: t.spec.Name, Provider: t.spec.Provider, Err: t.err})
	return err
}

// persist saves the attempt's record, detached from any shutdown.
func (r *Refresher) persist(e *entry, t *try) error {
	err := r.save(t, t.rec)
	t.course.Saved, t.course.SaveErr = r.now(), err
	r.mu.Lock()
	e.unsaved = err != nil
	if err != nil && !errors.Is(err, token.ErrFenced) {
		r.planSave(e, 1)
	}
	r.mu.Unlock()
	if err != nil {
		r.emit(Event{Kind: StateFailed, Token: t.spec.Name, Generation: t.rec.Generation, Err: err})
	}
	return err
}

// save makes durable what the store may have been told of.
func (r *Refresher) save(t *try, rec token.Record) error {
	if t.awaited {
		t.awaited = false
		return r.gatherer.SaveExpected(context.Background(), t.spec.Name, rec)
	}
	return r.store.Save(context.Background(), t.spec.Name, rec)
}

// regular is the instant of the next attempt after a success.
func (r *Refresher) regular(e *entry, t *try, now time.Time) time.Time {
	at, wantLogin := e.plan(now)
	e.wantLogin = wantLogin || e.urgent
	interval := t.spec.Policy.Schedule.MinInterval
	if e.stale > 0 {
		// The issuer hands out what has already expired: ask ever less often.
		interval = max(interval, doubled(interval, 10*time.Minute, int(e.stale-1)))
	}
	e.floor = latest(e.floor, t.started).Add(interval)
	return latest(at, e.floor)
}

// arrivedStale counts generations in a row that had expired on arrival.
func arrivedStale(n int32, t *try) int32 {
	if t.rec.ExpiresAt.After(t.read) {
		return 0
	}
	return n + 1
}

// saver saves a record again that the store did not take.
type saver struct {
	entry    *entry
	alarm    alarm
	failures int
}

// planSave plans the attempt after so many failures in a row.
func (r *Refresher) planSave(e *entry, failures int) {
	if e.save == nil {
		e.save = &saver{entry: e}
		e.save.alarm.wakes = e.save
	}
	e.save.failures = failures
	r.set(&e.save.alarm, r.now().Add(doubled(retryFirst, retryLast, failures-1)))
}

func (s *saver) wake(r *Refresher, _ time.Time) {
	if !r.draining {
		r.jobs.Go(func() { r.saveAgain(s.entry) })
	}
}

// saveAgain saves what the store does not hold yet. Meanwhile the token is busy:
// a late save must not overwrite the intent or the answer of an attempt.
func (r *Refresher) saveAgain(e *entry) {
	r.mu.Lock()
	if e.busy || e.place != 0 || !e.unsaved {
		r.mu.Unlock()
		return // the attempt that is due saves all of it, or plans this anew
	}
	e.busy = true
	rec, spec := e.rec, e.spec
	r.mu.Unlock()
	err := r.store.Save(context.Background(), spec.Name, rec)
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, token.ErrFenced) {
		r.fenced(e)
		return
	}
	e.unsaved = err != nil
	failures := 0
	if e.save != nil {
		failures = e.save.failures
	}
	r.release(e, spec, e.next.at)
	if err != nil {
		r.planSave(e, failures+1)
	}
}
