package refresher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tokend-project/tokend/internal/token"
)

type slowLoad struct {
	*memory
	name string
	d    time.Duration
}

func (s *slowLoad) Load(ctx context.Context, name string) (token.Record, error) {
	if name == s.name {
		time.Sleep(s.d)
	}
	return s.memory.Load(ctx, name)
}

func TestTokenThatRetiresWhileRecordsLoadComesBackWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &rig{t: t, store: newMemory(), events: &journal{}, policy: Policy{Timeout: 30 * time.Second, UseRefresh: true,
			Schedule: Schedule{RefreshAt: 0.75, Lead: 30 * time.Second, MinInterval: 10 * time.Second}}}
		g.r = New(Options{Store: &slowLoad{g.store, "z", 5 * time.Second}, Observers: []Observer{g.events}, Now: g.now})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); g.r.Run(ctx) }()
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s, &slot{}))
		s.script(func(context.Context, call, int) (token.Answer, error, bool) {
			time.Sleep(2 * time.Second)
			return token.Answer{}, nil, false
		})
		go func() { _ = g.r.Refresh(context.Background(), "a", false) }()
		pass(time.Second)
		g.apply() // a retires, its attempt is on the road
		g.apply(g.spec("a", s, &slot{}), g.spec("z", &server{lifetime: time.Hour}))
		pass(10 * time.Second)
		var kinds []string
		for _, c := range s.seen() {
			kinds = append(kinds, c.kind)
		}
		if len(kinds) != 2 {
			t.Errorf("a needless request: %v", kinds)
		}
		cancel()
		<-done
		time.Sleep(time.Minute)
	})
}

type slowHook struct{ now, most *atomic.Int64 }

func (h slowHook) Run(context.Context, Update) error {
	if n := h.now.Add(1); n > h.most.Load() {
		h.most.Store(n)
	}
	time.Sleep(10 * time.Second)
	h.now.Add(-1)
	return nil
}

func TestSlowHooksKeepToTheirLimit(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		h := slowHook{new(atomic.Int64), new(atomic.Int64)}
		var specs []*Spec
		for i := range 1000 {
			s := g.spec(fmt.Sprint("t", i), &server{lifetime: time.Hour}, &slot{})
			s.Hook = h
			specs = append(specs, s)
		}
		g.r.writers["hook"] = 16
		g.apply(specs...)
		pass(10 * time.Minute)
		if n := h.most.Load(); n != 16 {
			t.Errorf("%d hooks at once", n)
		}
	})
}

func TestRefreshOfAGrantThatCannotGoOnSaysSoAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.policy.UseRefresh = false
		g.apply(g.spec("a", &server{lifetime: time.Hour, seed: token.NewSecret("s")}, &slot{}))
		ctx, c := context.WithTimeout(context.Background(), time.Minute)
		defer c()
		begin := time.Now()
		err := g.r.Refresh(ctx, "a", false)
		if !errors.Is(err, ErrHuman) || time.Since(begin) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
	})
}

func TestTokenRemovedInFlightNoLongerRepairsItsSink(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s, sink := &server{lifetime: time.Hour}, &slot{}
		g.apply(g.spec("a", s, sink))
		s.script(slowly)
		go func() { _ = g.r.Refresh(context.Background(), "a", false) }()
		pass(time.Second)
		g.apply()
		pass(time.Minute)
		n := len(sink.tries())
		sink.vandalise()
		pass(time.Minute)
		if len(sink.tries()) != n {
			t.Errorf("a removed token's file is put back: %d writes, was %d", len(sink.tries()), n)
		}
	})
}

func slowly(context.Context, call, int) (token.Answer, error, bool) {
	time.Sleep(5 * time.Second)
	return token.Answer{}, nil, false
}

func TestLoginAskedForDuringARefreshFollowsIt(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s, &slot{}))
		s.script(slowly)
		go func() { _ = g.r.Refresh(context.Background(), "a", false) }()
		pass(time.Second)
		go func() { _ = g.r.Refresh(context.Background(), "a", true) }()
		pass(time.Minute)
		if c := s.seen(); len(c) != 3 || c[2].kind != "login" {
			t.Errorf("calls %v", c)
		}
	})
}

type stalling struct {
	*memory
	hold chan struct{}
}

func (s *stalling) Save(ctx context.Context, name string, r token.Record) error {
	if r.Notified == 1 && r.Intent == nil && r.Generation == 1 { // the save after the hook
		<-s.hold
	}
	return s.memory.Save(ctx, name, r)
}

type okHook struct{}

func (okHook) Run(context.Context, Update) error { return nil }

func TestLateSaveDoesNotOverwriteANewerRecord(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.stop()
		st := &stalling{memory: g.store, hold: make(chan struct{})}
		g.r = New(Options{Store: st, Observers: []Observer{g.events}, Now: g.now})
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); g.r.Run(ctx) }()
		g.stop = func() { cancel(); <-done }
		s := &server{lifetime: time.Hour, rotates: true}
		spec := g.spec("a", s, &slot{})
		spec.Hook = okHook{}
		g.apply(spec)
		pass(time.Second)
		go func() { _ = g.r.Refresh(context.Background(), "a", false) }()
		pass(time.Second)
		close(st.hold)
		pass(time.Second)
		if rec := g.store.get("a"); rec.Generation != 2 || !rec.RefreshToken.Equal(s.current) {
			t.Errorf("stored generation %d, held %d: a restart presents a superseded refresh token", rec.Generation, g.status("a").Generation)
		}
	})
}

func TestCronThatComesALittleEarlyInCompanyIsMadeOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		at := time.Now().Truncate(time.Hour).Add(time.Hour)
		sched, _ := cron.ParseStandard("0 * * * *")
		s := &server{lifetime: 24 * time.Hour}
		g.policy.Schedule.LoginCron = []cron.Schedule{sched}
		a := g.spec("a", s, &slot{})
		g.policy.Schedule.LoginCron = nil
		g.apply(a, g.spec("b", &server{lifetime: 24 * time.Hour}, &slot{}))
		pass(time.Until(at) - 20*time.Millisecond)
		go func() { _ = g.r.Refresh(context.Background(), "b", false) }()
		pass(time.Minute)
		if n := len(s.seen()); n != 2 {
			t.Errorf("%d requests of a, want 2: %v", n, s.seen())
		}
	})
}
