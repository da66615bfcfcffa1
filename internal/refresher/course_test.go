package refresher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// dawdling has store and server take the time that a trace is to show.
func dawdling(g *rig, s *server) {
	g.store.setFail(func(token.Record) error { time.Sleep(time.Second); return nil })
	s.script(func(context.Context, call, int) (token.Answer, error, bool) {
		time.Sleep(2 * time.Second)
		return token.Answer{}, nil, false
	})
}

func TestEventTellsTheStepsOfItsAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		dawdling(g, s)
		sink := &slot{delay: 3 * time.Second}
		spec := g.spec("a", s, sink)
		g.apply(spec)
		pass(47 * time.Minute)
		login, refresh := g.events.of(LoggedIn)[0], g.events.of(Refreshed)[0]
		for _, e := range []Event{login, refresh} {
			c, intent := e.Course, time.Duration(0)
			if e.Kind == Refreshed {
				intent = time.Second
				if c.Intended.Sub(c.Started) != intent {
					t.Errorf("the intent took %s", c.Intended.Sub(c.Started))
				}
			} else if !c.Intended.IsZero() {
				t.Error("a login has no intent")
			}
			if c.Asked.Sub(c.Started) != intent || c.Answered.Sub(c.Asked) != 2*time.Second || c.Saved.Sub(c.Answered) != time.Second || !e.At.Equal(c.Saved) {
				t.Errorf("%s: %+v", e.Kind, c)
			}
			if c.Grant != spec.Grant || c.IntentErr != nil || c.SaveErr != nil || !c.Follows.IsZero() {
				t.Errorf("%s: %+v", e.Kind, c)
			}
		}
		writes := g.events.of(SinkWritten)
		if len(writes) != 2 || !writes[0].Course.Answered.Equal(login.Course.Answered) || !writes[1].Course.Answered.Equal(refresh.Course.Answered) {
			t.Errorf("writes %+v", writes)
		}
	})
}

// The write of a generation is over after the next one has been answered; each
// belongs to its own answer, and the second is still timed.
func TestSlowWriteBelongsToTheAnswerThatItDelivers(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{delay: 20 * time.Second}
		g.apply(g.spec("a", s, sink))
		pass(time.Second)
		if err := g.r.Refresh(t.Context(), "a", false); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		answers := g.events.of(LoggedIn, Refreshed)
		writes := g.events.of(SinkWritten)
		if len(answers) != 2 || len(writes) != 2 {
			t.Fatalf("%d answers, %d writes", len(answers), len(writes))
		}
		for i, w := range writes {
			if !w.Course.Answered.Equal(answers[i].Course.Answered) || w.SinceAnswer != w.At.Sub(answers[i].Course.Answered) {
				t.Errorf("the write of generation %d is %s after the answer of %s", w.Generation, w.SinceAnswer, w.Course.Answered)
			}
		}
	})
}

func TestRepairsAndRestartsDeliverNoAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		sink.vandalise()
		synctest.Wait()
		repairs := g.events.of(SinkRepaired)
		if len(repairs) != 1 || !repairs[0].Course.Answered.IsZero() {
			t.Errorf("repairs %+v", repairs)
		}
		g.stop()
		g.start()
		g.apply(g.spec("a", s, &slot{}))
		writes := g.events.of(SinkWritten)
		if len(writes) != 2 || !writes[1].Course.Answered.IsZero() {
			t.Errorf("writes %+v", writes)
		}
	})
}

func TestLoginNamesTheRefusedRefreshThatItFollows(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			time.Sleep(time.Second)
			return token.Answer{}, rejected(), c.kind == "refresh"
		})
		pass(47 * time.Minute)
		denied, logins := g.events.of(RefreshDenied), g.events.of(LoggedIn)
		if len(denied) != 1 || len(logins) != 2 {
			t.Fatalf("%d refusals, %d logins", len(denied), len(logins))
		}
		if c := denied[0].Course; c.Answered.IsZero() || !logins[1].Course.Follows.Equal(c.Answered) || c.Intended.IsZero() {
			t.Errorf("%+v, then %+v", c, logins[1].Course)
		}
	})
}

func TestStoreThatTakesNothingIsToldWhereItWas(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		full := errors.New("no space left")
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		g.store.setFail(func(token.Record) error { return full })
		pass(47 * time.Minute)
		failed := g.events.of(AttemptFailed)
		if len(failed) == 0 {
			t.Fatal("nothing failed")
		}
		if c := failed[0].Course; !errors.Is(c.IntentErr, full) || c.Intended.IsZero() || !c.Asked.IsZero() || !c.Saved.IsZero() {
			t.Errorf("%+v", c)
		}
	})
}

type deaf struct{ heard uint64 }

func (d *deaf) Observe(e Event) { d.heard += e.Generation }

// Nobody who does not trace pays for it with an allocation.
func TestTellingTheStepsAllocatesNothing(t *testing.T) {
	r := New(Options{Observers: []Observer{&deaf{}, &deaf{}}})
	attempt := &try{spec: &Spec{Name: "a", Grant: "password"}, started: time.Now(), read: time.Now()}
	if n := testing.AllocsPerRun(100, func() {
		r.emit(Event{Kind: Refreshed, At: attempt.read, Token: "a", Generation: 1, Course: attempt.went()})
	}); n != 0 {
		t.Errorf("%v allocations for an event", n)
	}
}
