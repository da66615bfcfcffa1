package refresher

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// errNoIntent says that the store did not take the intent, so no refresh token
// was spent.
var errNoIntent = errors.New("the state store took no intent, so no refresh token was spent")

// try is one attempt on its way: what was decided under the lock, and what came
// of it.
type try struct {
	entry   *entry
	spec    *Spec
	rec     token.Record // as it was, then as it is to be
	lane    *lane
	kind    kind
	wanted  bool // a login was asked for, by schedule or operator
	altered bool // rec differs from what the store holds, although nothing was obtained
	awaited bool // the store expects its next save
	started time.Time
	steps   time.Duration // how far the clock had been set back when it started
	live    bool          // a valid access token existed when it started
	answer  token.Answer
	read    time.Time // when the answer was read
	err     error
	coming  *coming // what the answer brought
	course  Course
}

// went is the course of the attempt so far.
func (t *try) went() Course {
	c := t.course
	c.Grant, c.Started, c.Answered = t.spec.Grant, t.started, t.read
	return c
}

// attempt walks the road once: intend, request, commit, publish, plan.
func (r *Refresher) attempt(t *try, l *lane) {
	r.request(t)
	if t.kind == refresh && refused(t.err) && !t.entry.needsHuman() {
		r.emit(Event{Kind: RefreshDenied, Token: t.spec.Name, Provider: t.spec.Provider, Class: token.Rejected, Err: t.err, Course: t.went()})
		t = r.relogin(t.entry, t)
	}
	r.arrive(l, t)
	r.finish(t.entry, t)
}

// begin decides what to do, with the lock held; nil is for nothing.
func (r *Refresher) begin(e *entry, l *lane) *try {
	now := r.now()
	k := e.choose(now)
	if !e.retired && !r.holds(e.spec.Name) {
		e.busy = false
		r.set(&e.next, now.Add(standbyFor))
		return nil
	}
	if e.retired || k == none {
		e.busy = false
		if e.retired {
			r.settle(e)
		} else {
			r.answerWaiters(e, ErrHuman)
		}
		return nil
	}
	e.planned = e.next.at
	if e.planned.IsZero() {
		e.planned = now
	}
	t := &try{entry: e, spec: e.spec, rec: e.rec, lane: l, kind: k, wanted: e.wantLogin, started: now, steps: r.steps, live: e.rec.Valid(now)}
	e.wantLogin, e.urgent, e.doing = false, false, k
	e.attempts++
	return t
}

// relogin follows a refused refresh at once. The two requests count double
// towards the floor, so that a server that refuses every refresh still sees no
// more than one request per interval.
func (r *Refresher) relogin(e *entry, was *try) *try {
	t := &try{entry: e, spec: was.spec, rec: was.rec, lane: was.lane, kind: login, started: r.now(), steps: was.steps, live: was.live}
	t.rec.RefreshToken, t.rec.Intent, t.altered = token.Secret{}, nil, true // it was refused for good
	t.course.Follows = was.read
	r.mu.Lock()
	e.attempts++
	e.doing = login
	e.floor = was.started.Add(was.spec.Policy.Schedule.MinInterval)
	r.mu.Unlock()
	r.request(t)
	return t
}

// request makes the attempt durable where it must be, and sends it. A panic of a
// source fails this attempt and nothing else.
func (r *Refresher) request(t *try) {
	defer func() {
		if p := recover(); p != nil {
			t.err = &token.Failure{Class: token.Ambiguous, Reason: "panic", Err: fmt.Errorf("a defect in tokend: %T", p)}
			r.emit(Event{Kind: Panicked, Token: t.spec.Name, Err: t.err, Detail: string(debug.Stack())})
		}
		t.read = r.now()
	}()
	term := r.term(t)
	defer term.end()
	if t.kind == refresh {
		if t.err = r.intend(t); t.err != nil {
			return
		}
	}
	if !r.holds(t.spec.Name) {
		t.err = standby()
		return
	}
	t.course.Asked = r.now()
	if t.kind == login {
		t.answer, t.err = t.spec.Source.Login(term.ctx)
		return
	}
	t.answer, t.err = t.spec.Source.Refresh(term.ctx, t.rec.RefreshToken)
}

// term bounds an attempt. A refresh is cancelled by its deadline alone: not by a
// reload, not by a shutdown.
func (r *Refresher) term(t *try) *term {
	within := attemptTimeout(t.spec.Policy.Timeout, t.rec.Token, t.started)
	if t.kind == refresh {
		return r.others.begin(within)
	}
	return r.logins.begin(within)
}

// intend makes durable that the refresh token is about to be spent. That the
// store took it is also the proof that it can take the answer.
func (r *Refresher) intend(t *try) error {
	intent := &token.Intent{Attempt: 1, Spent: t.rec.RefreshToken.Sum(), Started: t.started}
	if was := t.rec.Intent; was != nil && was.Spent == intent.Spent {
		intent.Attempt += was.Attempt
	}
	rec := t.rec
	rec.Intent, rec.Binding = intent, t.spec.Binding
	err := r.save(t, rec)
	t.course.Intended, t.course.IntentErr = r.now(), err
	if err != nil {
		r.emit(Event{Kind: StateFailed, Token: t.spec.Name, Err: err})
		return fmt.Errorf("%w: %w", errNoIntent, err)
	}
	t.rec = rec
	return nil
}

// finish commits and publishes what the attempt brought, and plans the next.
func (r *Refresher) finish(e *entry, t *try) {
	if t.err == nil {
		r.commit(e, t)
		return
	}
	err := t.err
	switch {
	case !t.answer.RefreshToken.IsEmpty():
		err = r.salvage(e, t)
	case t.kind == refresh && definite(t.err):
		// Nothing was spent: without this, a crash would take it for lost.
		t.rec.Intent = nil
		err = r.persist(e, t)
	case t.altered:
		err = r.persist(e, t)
	}
	if errors.Is(err, token.ErrFenced) {
		r.giveUp(e, t)
		return
	}
	r.fail(e, t)
}

// giveUp ends an attempt whose record another owner has written meanwhile.
func (r *Refresher) giveUp(e *entry, t *try) {
	r.mu.Lock()
	r.fenced(e)
	r.mu.Unlock()
	r.emit(Event{Kind: Fenced, Token: t.spec.Name, Provider: t.spec.Provider, Generation: t.rec.Generation, Course: t.went()})
}

func refused(err error) bool {
	f, ok := errors.AsType[*token.Failure](err)
	return ok && f.Class == token.Rejected
}

// definite tells that the refresh token was certainly not consumed by this
// attempt: the request never left, or a refusal came back.
func definite(err error) bool {
	f, ok := errors.AsType[*token.Failure](err)
	return ok && f.Class != token.Ambiguous
}

// failure reads err's class. An error without one promises nothing.
func failure(err error) *token.Failure {
	if f, ok := errors.AsType[*token.Failure](err); ok {
		return f
	}
	if errors.Is(err, errNoIntent) {
		return &token.Failure{Class: token.NotSent, Reason: "state", Err: err}
	}
	return &token.Failure{Class: token.Ambiguous, Reason: "unclassified", Err: err}
}

func problemOf(err error, at time.Time) *token.Problem {
	p := &token.Problem{At: at, Message: err.Error()}
	if f, ok := errors.AsType[*token.Failure](err); ok {
		p.Class, p.Code = f.Class.String(), f.Reason
		if f.Code != "" {
			p.Code = f.Code
		}
	}
	return p
}
