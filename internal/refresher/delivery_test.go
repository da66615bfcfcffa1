package refresher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Vault Agent's retry sleep: one bad sink delayed all the others.
func TestOneBadSinkDelaysNoOther(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		bad, good := &slot{fail: func(int) error { return errors.New("no space left on device") }}, &slot{}
		hung := &slot{hold: make(chan struct{})}
		defer close(hung.hold)
		begin := time.Now()
		g.apply(g.spec("a", s, bad, hung, good), g.spec("b", s, &slot{}))
		pass(3 * time.Hour)
		if at := good.tries(); at[0].Sub(begin) > time.Second {
			t.Errorf("the good sink waited %v", at[0].Sub(begin))
		}
		if got, want := good.current().Generation, g.status("a").Generation; got != want || want < 4 {
			t.Errorf("the good sink holds %d of %d", got, want)
		}
		if st := g.status("a").Sinks[0]; st.LastError == nil || st.Generation != 0 {
			t.Errorf("the bad sink's status: %+v", st)
		}
	})
}

func TestFailingSinkNeverCausesATokenRequest(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s, &slot{fail: func(int) error { return errors.New("read-only file system") }}))
		pass(20 * time.Minute)
		if n := len(s.seen()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// More hanging writes than the pool has writers must not stop the rest.
func TestHangingWritesDoNotUseUpTheWriters(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		hung := make(chan struct{})
		defer close(hung)
		s := &server{lifetime: time.Hour}
		var specs []*Spec
		for i := range 10 { // the rig has two writers
			specs = append(specs, g.spec(fmt.Sprintf("hung-%d", i), s, &slot{hold: hung}))
		}
		g.apply(specs...)
		pass(2 * time.Second)
		good := &slot{}
		begin := time.Now()
		g.apply(append(specs, g.spec("good", s, good))...)
		pass(2 * time.Second)
		if at := good.tries(); len(at) != 1 || at[0].Sub(begin) > time.Second {
			t.Errorf("tries %v after %v", at, begin)
		}
	})
}

func TestFailedSinkConvergesWithinHalfAMinuteOfItsCauseBeingGone(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 24 * time.Hour}
		broken := true
		var mu sync.Mutex
		sink := &slot{fail: func(int) error {
			mu.Lock()
			defer mu.Unlock()
			if broken {
				return errors.New("permission denied")
			}
			return nil
		}}
		g.apply(g.spec("a", s, sink))
		pass(2 * time.Hour)
		mu.Lock()
		broken = false
		mu.Unlock()
		pass(30 * time.Second)
		if sink.current().Generation != 1 {
			t.Error("not converged")
		}
	})
}

func TestSlowSinkGetsTheLatestGenerationAlone(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 20 * time.Second, rotates: true}
		g.policy.Schedule.MinInterval = time.Second
		sink := &slot{delay: 50 * time.Second} // three generations go by in one write
		g.apply(g.spec("a", s, sink))
		pass(10 * time.Minute)
		sink.mu.Lock()
		defer sink.mu.Unlock()
		for i := 1; i < len(sink.writes); i++ {
			if sink.writes[i].Generation <= sink.writes[i-1].Generation {
				t.Errorf("generation %d was written after %d", sink.writes[i].Generation, sink.writes[i-1].Generation)
			}
		}
		if n := len(sink.writes); n < 8 || n > 13 {
			t.Errorf("%d writes in ten minutes of 50 s each", n)
		}
	})
}

func TestForeignChangeIsPutBackAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		sink.vandalise()
		synctest.Wait()
		if sink.current().Generation != 1 {
			t.Error("not put back")
		}
		if n := len(s.seen()); n != 1 {
			t.Errorf("%d requests", n)
		}
		if st := g.status("a").Sinks[0]; st.Repairs != 1 {
			t.Errorf("%d repairs counted", st.Repairs)
		}
	})
}

// cert-manager/website#2128: two owners of one place fought in a tight loop.
func TestTwoOwnersOfOneSinkDoNotFightInATightLoop(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 24 * time.Hour}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { // the other owner writes ten times a second
			defer close(done)
			for ctx.Err() == nil {
				sink.vandalise()
				time.Sleep(100 * time.Millisecond)
			}
		}()
		pass(time.Hour)
		repairs := g.status("a").Sinks[0].Repairs
		cancel()
		<-done
		if repairs > 40 || repairs < 10 {
			t.Errorf("%d repairs in an hour", repairs)
		}
		if len(g.events.of(SinkFight)) == 0 {
			t.Error("nobody was told")
		}
		// The other owner has left: the place is put right, and repairs are free again.
		pass(fightLast + time.Second)
		if sink.current().Generation != 1 {
			t.Error("not put back in the end")
		}
		pass(15 * time.Minute)
		sink.vandalise()
		synctest.Wait()
		if sink.current().Generation != 1 {
			t.Error("a repair long after a fight still waits")
		}
	})
}

// recorder is a Hook.
type recorder struct {
	mu   sync.Mutex
	runs []Update
	at   []time.Time
	fail func(n int) error
}

func (h *recorder) Run(_ context.Context, u Update) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs, h.at = append(h.runs, u), append(h.at, time.Now())
	if h.fail != nil {
		return h.fail(len(h.runs))
	}
	return nil
}

func (h *recorder) seen() []Update {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.runs)
}

func TestHookRunsOncePerGenerationWhenTheSinksHoldIt(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		one, two := &slot{delay: time.Second}, &slot{}
		hook := &recorder{}
		spec := g.spec("a", s, one, two)
		spec.Hook = hook
		g.apply(spec)
		pass(3 * time.Hour)
		runs := hook.seen()
		if len(runs) != int(g.status("a").Generation) {
			t.Fatalf("%d runs for %d generations", len(runs), g.status("a").Generation)
		}
		for i, u := range runs {
			if u.Generation != uint64(i+1) || len(u.Targets) != 2 || u.Token != "a" {
				t.Errorf("%+v", u)
			}
		}
	})
}

// vault#12566, #32035: a failing hook took the daemon down, or ran all hooks again.
func TestFailingHookIsRetriedWithBackoffAndBlocksNothing(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 2 * time.Hour}
		sink := &slot{}
		bad, good := &recorder{fail: func(int) error { return errors.New("exit status 1") }}, &recorder{}
		spec, other := g.spec("a", s, sink), g.spec("b", s, &slot{})
		spec.Hook, other.Hook = bad, good
		g.apply(spec, other)
		pass(40 * time.Minute)
		if n := len(bad.seen()); n < 8 || n > 20 {
			t.Errorf("the failing hook ran %d times", n)
		}
		if n := len(good.seen()); n != 1 {
			t.Errorf("the other token's hook ran %d times", n)
		}
		if sink.current().Generation != 1 {
			t.Error("the sink was held up")
		}
	})
}

// vault#32031: unchanged content made consumers reload for nothing.
func TestRestartWithUnchangedSinksRunsNoHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		s := &server{lifetime: time.Hour}
		sink, hook := &slot{}, &recorder{}
		spec := g.spec("a", s, sink)
		spec.Hook = hook
		g.apply(spec)
		g.stop()
		g.start()
		defer func() { g.stop() }()
		g.apply(spec)
		pass(time.Minute)
		if n := len(hook.seen()); n != 1 {
			t.Errorf("the hook ran %d times", n)
		}
	})
}

func TestHookThatWasDueWhenTheDaemonDiedRunsAfterTheRestart(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		now := time.Now().Round(0)
		held := token.Token{Generation: 4, AccessToken: token.NewSecret("x"), IssuedAt: now, ExpiresAt: now.Add(time.Hour)}
		g.store.records["a"] = token.Record{Token: held, Binding: "b", Notified: 3}
		hook := &recorder{}
		spec := g.spec("a", &server{lifetime: time.Hour}, &slot{holds: held}) // the sink was written before the kill
		spec.Hook = hook
		g.apply(spec)
		pass(time.Second)
		if runs := hook.seen(); len(runs) != 1 || runs[0].Generation != 4 {
			t.Errorf("%+v", runs)
		}
		if g.store.get("a").Notified != 4 {
			t.Error("that the hook has run is not recorded")
		}
	})
}

// judge is a Prober.
type judge struct {
	mu      sync.Mutex
	refuses func(t token.Token) bool
	err     error
	asked   int
}

func (p *judge) Check(_ context.Context, t token.Token) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.err != nil {
		return false, p.err
	}
	return p.refuses != nil && p.refuses(t), nil
}

func TestResourceThatAnswers401GetsANewTokenNow(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 12 * time.Hour, rotates: true}
		probe := &judge{refuses: func(t token.Token) bool { return t.Generation == 1 }}
		spec := g.spec("a", s, &slot{})
		spec.Probe, spec.ProbeAt = probe, time.Minute
		g.apply(spec)
		pass(3 * time.Minute)
		calls := s.seen()
		if len(calls) != 2 || calls[1].kind != "refresh" {
			t.Errorf("%v", calls)
		}
	})
}

func TestResourceThatRefusesEveryTokenMakesNoHotLoop(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 12 * time.Hour, rotates: true}
		spec := g.spec("a", s)
		spec.Probe, spec.ProbeAt = &judge{refuses: func(token.Token) bool { return true }}, time.Second
		g.apply(spec)
		pass(6 * time.Hour)
		if n := len(s.seen()); n > 20 || n < 5 {
			t.Errorf("%d requests in six hours", n)
		}
	})
}

func TestProbeThatCannotAskSaysNothingAboutTheToken(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: 12 * time.Hour}
		spec := g.spec("a", s)
		spec.Probe, spec.ProbeAt = &judge{err: errors.New("connection refused")}, time.Second
		g.apply(spec)
		pass(time.Hour)
		if n := len(s.seen()); n != 1 {
			t.Errorf("%d requests", n)
		}
		if p := g.status("a").Probe; p == nil || p.LastError == nil {
			t.Error("the failed probe is not shown")
		}
	})
}

// staged is a slot that prepares its writes.
type staged struct {
	slot
	store *memory
	name  string

	early  int      // generations published before their record was durable
	shown  []uint64 // generations, in the order in which they were published
	staged int
}

func (s *staged) Stage(_ context.Context, t token.Token) (func(context.Context) (bool, error), func(), error) {
	s.mu.Lock()
	s.staged++
	s.mu.Unlock()
	publish := func(ctx context.Context) (bool, error) {
		s.mu.Lock()
		if s.store.get(s.name).Generation < t.Generation {
			s.early++
		}
		s.shown = append(s.shown, t.Generation)
		s.mu.Unlock()
		return s.Write(ctx, t)
	}
	return publish, func() {}, nil
}

func TestStagedGenerationIsPublishedOnceItsRecordIsDurableAndNeverReplacedByAnOlderOne(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		var specs []*Spec
		var all []*staged
		for i := range 200 {
			name := fmt.Sprintf("t-%d", i)
			k := &staged{store: g.store, name: name}
			all = append(all, k)
			specs = append(specs, g.spec(name, &server{lifetime: time.Minute, rotates: true}, k))
		}
		g.apply(specs...)
		pass(20 * time.Minute)
		for _, k := range all {
			k.mu.Lock()
			if k.early != 0 || !slices.IsSorted(k.shown) || k.staged < 20 || k.staged != len(k.shown) {
				t.Errorf("%s: %d staged, %d published early, in the order %v", k.name, k.staged, k.early, k.shown)
			}
			k.mu.Unlock()
		}
	})
}
