package refresher

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func TestReloadThatChangesNothingMakesNoRequestAndKeepsTheSchedule(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		next := g.status("a").NextAttempt
		for range 100 {
			g.apply(g.spec("a", s, sink))
		}
		if len(s.seen()) != 1 || !g.status("a").NextAttempt.Equal(next) || len(sink.tries()) != 1 {
			t.Errorf("%d requests, %d writes, next %v (was %v)", len(s.seen()), len(sink.tries()), g.status("a").NextAttempt, next)
		}
	})
}

func TestChangedSinkIsWrittenFromTheCurrentToken(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		kept, old, renewed := &slot{}, &slot{}, &slot{}
		g.apply(g.spec("a", s, kept, old))
		spec := g.spec("a", s, kept, renewed)
		spec.Sinks[1].Fingerprint = Fingerprint{99}
		g.apply(spec)
		if renewed.current().Generation != 1 || len(s.seen()) != 1 {
			t.Errorf("the changed sink holds %d after %d requests", renewed.current().Generation, len(s.seen()))
		}
		if n := len(kept.tries()); n != 1 {
			t.Errorf("the other sink was written %d times", n)
		}
		pass(time.Hour)
		if old.current().Generation != 1 {
			t.Error("the sink that was replaced is still written")
		}
	})
}

func TestChangedSecretAppliesAtTheNextRequestAndAtOnceAfterARefusal(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		wrong := &server{lifetime: time.Hour}
		wrong.script(func(context.Context, call, int) (token.Answer, error, bool) {
			return token.Answer{}, &token.Failure{Class: token.Misconfigured, Status: 401, Code: "invalid_client"}, true
		})
		good := &server{lifetime: time.Hour}
		g.apply(g.spec("refused", wrong), g.spec("fine", good))
		pass(time.Second)
		right := &server{lifetime: time.Hour}
		refused, fine := g.spec("refused", right), g.spec("fine", right)
		refused.RequestPrint, fine.RequestPrint = Fingerprint{1}, Fingerprint{1}
		g.apply(refused, fine)
		if n := len(right.seen()); n != 1 {
			t.Errorf("%d requests at once, want the refused token's alone", n)
		}
		if g.status("refused").State != token.StateFresh {
			t.Errorf("%v", g.status("refused").State)
		}
		pass(time.Hour)
		if n := len(good.seen()); n != 1 {
			t.Errorf("the old secret was used for %d requests", n)
		}
	})
}

func TestRemovedTokenCommitsWhatIsInFlightThenRetires(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			time.Sleep(5 * time.Second)
			a, err := s.grant(c)
			return a, err, true
		})
		pass(time.Until(g.status("a").NextAttempt) + time.Second)
		g.apply() // while the refresh is in flight
		pass(10 * time.Second)
		if rec := g.store.get("a"); rec.Generation != 2 || rec.Intent != nil || !rec.RefreshToken.Equal(s.current) {
			t.Errorf("stored generation %d, intent %v", rec.Generation, rec.Intent)
		}
		if sink.current().Generation != 2 {
			t.Errorf("the sink holds %d: its token died at the refresh", sink.current().Generation)
		}
		pass(5 * time.Hour)
		if n := len(s.seen()); n != 2 {
			t.Errorf("%d requests for a removed token", n)
		}
		if len(g.r.Names()) != 0 {
			t.Errorf("still there: %v", g.r.Names())
		}
	})
}

func TestRemovedAndComeBackWhileInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			time.Sleep(5 * time.Second)
			a, err := s.grant(c)
			return a, err, true
		})
		pass(time.Until(g.status("a").NextAttempt) + time.Second)
		g.apply()
		g.apply(g.spec("a", s, sink))
		pass(3 * time.Hour)
		if st := g.status("a"); st.State != token.StateFresh || sink.current().Generation != st.Generation {
			t.Errorf("%v, generation %d, the sink holds %d", st.State, st.Generation, sink.current().Generation)
		}
		if len(s.reused) != 0 {
			t.Error("a superseded refresh token was presented")
		}
	})
}

// removable is a slot that can be deleted.
type removable struct {
	slot
	removed int
}

func (s *removable) Remove(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed++
	s.holds = token.Token{}
	return nil
}

func TestOnRemoveDeletesSinkAndRecord(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		gone, stays := &removable{}, &removable{}
		spec := g.spec("gone", s, gone)
		spec.Sinks[0].Remove = true
		g.apply(spec, g.spec("stays", s, stays))
		g.apply()
		pass(time.Second)
		if gone.removed != 1 || stays.removed != 0 || stays.current().Generation != 1 {
			t.Errorf("removed %d and %d times", gone.removed, stays.removed)
		}
		if g.store.get("gone").Generation != 0 {
			t.Error("the record of the deleted token is still there")
		}
		if g.store.get("stays").Generation != 1 {
			t.Error("the record of the kept token is gone")
		}
	})
}

func TestSinkOfAnotherKindWithTheSameNameIsAnotherPlace(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		secret, entry := &removable{}, &removable{}
		was := g.spec("a", s, secret)
		was.Sinks[0].Kind, was.Sinks[0].Target, was.Sinks[0].Remove = "kubernetes_secret", "main:shop/rator", true
		g.apply(was)
		now := g.spec("a", s, entry)
		now.Sinks[0].Kind, now.Sinks[0].Target, now.Sinks[0].Fingerprint = "vault_kv", "main:shop/rator", Fingerprint{1}
		g.apply(now)
		pass(time.Second)
		if secret.removed != 1 || entry.current().Generation != 1 {
			t.Errorf("the Secret was removed %d times, the entry holds generation %d", secret.removed, entry.current().Generation)
		}
	})
}

func TestChangeDuringARequestFinishesUnderTheOldConfiguration(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			time.Sleep(5 * time.Second)
			a, err := s.grant(c)
			return a, err, true
		})
		pass(time.Until(g.status("a").NextAttempt) + time.Second)
		other := &server{lifetime: time.Hour, rotates: true}
		spec := g.spec("a", other)
		spec.Binding = "another endpoint"
		g.apply(spec)
		pass(5 * time.Second)
		calls := other.seen()
		if len(calls) != 1 || calls[0].kind != "login" {
			t.Fatalf("the new endpoint saw %v", calls)
		}
		if got := g.store.get("a"); got.Generation != 3 || got.Binding != "another endpoint" {
			t.Errorf("generation %d bound to %q", got.Generation, got.Binding)
		}
	})
}

func TestWaitReturnsWhenSinksHoldTheToken(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		g.apply(g.spec("a", s, &slot{delay: 7 * time.Second}))
		begin := time.Now()
		if err := g.r.Wait(t.Context(), nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 7*time.Second {
			t.Errorf("waited %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := g.r.Wait(ctx, []string{"b"}, 0); err == nil {
			t.Error("waited for a token that is not there")
		}
	})
}

func TestWaitRefreshesATokenWithTooLittleLeft(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		pass(20 * time.Minute)
		if err := g.r.Wait(t.Context(), []string{"a"}, 50*time.Minute); err != nil {
			t.Fatal(err)
		}
		if n := len(s.seen()); n != 2 {
			t.Errorf("%d requests", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.r.Wait(ctx, []string{"a"}, 2*time.Hour); err == nil {
			t.Error("a lifetime of an hour cannot leave two")
		}
		if n := len(s.seen()); n > 3 {
			t.Errorf("%d requests for what cannot be had", n)
		}
	})
}

func TestOperatorsRefreshIsMadeNowAndTellsHowItWent(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		if err := g.r.Refresh(t.Context(), "a", false); err != nil {
			t.Fatal(err)
		}
		if err := g.r.Refresh(t.Context(), "a", true); err != nil {
			t.Fatal(err)
		}
		if calls := s.seen(); len(calls) != 3 || calls[1].kind != "refresh" || calls[2].kind != "login" {
			t.Errorf("%v", s.seen())
		}
		s.script(func(context.Context, call, int) (token.Answer, error, bool) { return token.Answer{}, notSent(), true })
		if err := g.r.Refresh(t.Context(), "a", false); err == nil {
			t.Error("a failed refresh was reported as done")
		}
		if err := g.r.Refresh(t.Context(), "nobody", false); err == nil {
			t.Error("an unknown token was refreshed")
		}
	})
}

// pizauth#53: restoring the state raced the start.
func TestApplyBeforeRunLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		r := New(Options{Store: store})
		s := &server{lifetime: time.Hour}
		sink := &slot{}
		p := Policy{Timeout: time.Second, Schedule: Schedule{RefreshAt: 0.75, MinInterval: time.Second}}
		spec := &Spec{Name: "a", Provider: "p", Source: s, Policy: &p, Sinks: []SinkSpec{{Kind: "file", Target: "x", Sink: sink}}}
		if err := r.Apply(t.Context(), []*Spec{spec}, map[string]Limits{"p": {Concurrency: 1}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(s.seen()) != 0 {
			t.Error("a request before Run")
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { r.Run(ctx) })
		synctest.Wait()
		if sink.current().Generation != 1 {
			t.Error("not delivered")
		}
		cancel()
		wg.Wait()
	})
}
