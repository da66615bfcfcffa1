package refresher

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// after answers each login after a time of its own, the nth in order of requests.
func after(waits func(n int) time.Duration) func(context.Context, call, int) (token.Answer, error, bool) {
	return func(ctx context.Context, _ call, n int) (token.Answer, error, bool) {
		select {
		case <-time.After(waits(n)):
			return token.Answer{}, nil, false
		case <-ctx.Done():
			return token.Answer{}, &token.Failure{Class: token.Ambiguous, Reason: "timeout", Err: ctx.Err()}, true
		}
	}
}

// saves are when records were saved, in order.
func saves(g *rig, begin time.Time) (at []time.Duration) {
	for _, e := range g.events.of(LoggedIn, Refreshed) {
		at = append(at, e.Course.Saved.Sub(begin))
	}
	slices.Sort(at)
	return at
}

func TestWhatIsAnsweredTogetherIsSavedTogether(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		begin := g.now().Round(0)
		s := &server{lifetime: time.Hour, reply: after(func(n int) time.Duration { return time.Duration(n) * 50 * time.Microsecond })}
		g.apply(fleet(g, 16, s)...)
		pass(time.Minute)
		if at := saves(g, begin); len(at) != 16 || at[0] != at[15] || at[0] != 800*time.Microsecond {
			t.Errorf("saved at %v, want all at the last answer", at)
		}
		if !slices.Equal(g.store.told, []int{16}) {
			t.Errorf("the store was told to expect %v", g.store.told)
		}
	})
}

func TestSlowAnswerKeepsNoOtherWaiting(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		begin := g.now().Round(0)
		s := &server{lifetime: time.Hour, reply: after(func(n int) time.Duration {
			if n == 4 {
				return 10 * time.Second
			}
			return 0
		})}
		g.apply(fleet(g, 8, s)...)
		pass(time.Minute)
		if at := saves(g, begin); len(at) != 8 || at[0] != gatherFor || at[6] != gatherFor || at[7] != 10*time.Second {
			t.Errorf("saved at %v, want all but one after %v", at, gatherFor)
		}
	})
}

// A lone token, or one whose companions have failed, waits for nobody.
func TestAnswerWithoutCompanyGoesOnAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		begin := g.now().Round(0)
		s := &server{lifetime: time.Hour, reply: func(_ context.Context, _ call, n int) (token.Answer, error, bool) {
			return token.Answer{}, rejected(), n < 8
		}}
		g.apply(fleet(g, 8, s)...)
		if at := saves(g, begin); len(at) != 1 || at[0] != 0 {
			t.Errorf("saved at %v", at)
		}
	})
}

// filed is a sink that takes its time to publish.
type filed struct {
	slot
	takes time.Duration
}

func (f *filed) Stage(_ context.Context, t token.Token) (func(context.Context) (bool, error), func(), error) {
	publish := func(ctx context.Context) (bool, error) {
		time.Sleep(f.takes)
		return f.Write(ctx, t)
	}
	return publish, func() {}, nil
}

func filing(g *rig, n int, s Source, takes func(i int) time.Duration) (specs []*Spec) {
	for i := range n {
		specs = append(specs, g.spec(fmt.Sprintf("tenant-%d", i), s, &filed{takes: takes(i)}))
	}
	return specs
}

func TestNextWaveIsSentWhenTheFilesOfTheLastAreInPlace(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.r.writers = map[string]int{"file": 64}
		begin := g.now()
		s := &server{lifetime: time.Hour}
		g.apply(filing(g, 2*firstWave+1, s, func(int) time.Duration { return 5 * time.Millisecond })...)
		pass(time.Minute)
		sent := map[time.Duration]int{}
		for _, c := range s.seen() {
			sent[c.at.Sub(begin)]++
		}
		if len(sent) != 3 || sent[0] != firstWave || sent[5*time.Millisecond] != firstWave || sent[10*time.Millisecond] != 1 {
			t.Errorf("requests were sent at %v", sent)
		}
	})
}

func TestSinkThatHangsDoesNotHoldUpItsLane(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.r.writers = map[string]int{"file": 64}
		begin := g.now()
		s := &server{lifetime: time.Hour}
		g.apply(filing(g, 500, s, func(i int) time.Duration {
			if i == 7 {
				return 20 * time.Second
			}
			return time.Millisecond
		})...)
		pass(time.Minute)
		last := slices.MaxFunc(s.seen(), func(a, b call) int { return a.at.Compare(b.at) })
		if n := len(s.seen()); n != 500 || last.at.Sub(begin) > time.Second {
			t.Errorf("%d requests, the last after %v", n, last.at.Sub(begin))
		}
	})
}

// The waves are no limit where there are few in flight anyway.
func TestSmallConcurrencyIsUsedInFull(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		begin := g.now()
		s := &server{lifetime: time.Hour, reply: after(func(int) time.Duration { return 50 * time.Millisecond })}
		if err := g.r.Apply(t.Context(), fleet(g, 200, s), map[string]Limits{"p": {Concurrency: 4}}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		last := slices.MaxFunc(s.seen(), func(a, b call) int { return a.at.Compare(b.at) })
		if took := last.at.Sub(begin); len(s.seen()) != 200 || took > 3*time.Second {
			t.Errorf("%d requests of 50 ms by four at a time went out in %v", len(s.seen()), took)
		}
	})
}

func TestManySinksThatHangDoNotHoldUpTheirLane(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		g.r.writers = map[string]int{"file": 64}
		begin := g.now()
		s := &server{lifetime: time.Hour}
		specs := filing(g, 500, s, func(i int) time.Duration {
			if i%5 == 0 {
				return 20 * time.Second
			}
			return time.Millisecond
		})
		if err := g.r.Apply(t.Context(), specs, map[string]Limits{"p": {Concurrency: 4}}); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		last := slices.MaxFunc(s.seen(), func(a, b call) int { return a.at.Compare(b.at) })
		if took := last.at.Sub(begin); len(s.seen()) != 500 || took > time.Second {
			t.Errorf("%d requests went out in %v", len(s.seen()), took)
		}
	})
}

func TestWavesAreAsLargeAsGetIntoTheirFilesSoonEnough(t *testing.T) {
	for _, c := range []struct {
		name  string
		each  time.Duration // a wave's time, for each of it
		least int
		most  int
	}{
		{"a quick disk", 10 * time.Microsecond, mostWave, mostWave},
		{"one of 4 ms for 16", 250 * time.Microsecond, 14, 20},
		{"a slow disk", 2 * time.Millisecond, leastWave, leastWave},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			l := newLane(Limits{Concurrency: 256})
			for range 100 {
				l.sent, l.first = l.size, now
				now = now.Add(time.Duration(l.size) * c.each)
				l.fit(now)
			}
			if l.size < c.least || l.size > c.most {
				t.Errorf("a wave has %d", l.size)
			}
			l.sent, l.first = 1, now
			was := l.size
			if l.fit(now.Add(time.Second)); l.size != was {
				t.Error("a lone token that was slow shrinks the waves")
			}
		})
	}
}
