package refresher

import (
	"context"
	"testing"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tokend-project/tokend/internal/token"
)

func crons(t *testing.T, specs ...string) (all []cron.Schedule) {
	t.Helper()
	for _, spec := range specs {
		s, err := cron.ParseStandard(spec)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func TestRefreshAt(t *testing.T) {
	issued := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	cases := []struct {
		name     string
		lifetime time.Duration
		s        Schedule
		cold     bool
		u        float64
		want     time.Duration
	}{
		{"fraction", time.Hour, Schedule{RefreshAt: 0.75, Lead: 30 * time.Second}, false, 0, 45 * time.Minute},
		{"lead where the fraction leaves less", 100 * time.Second, Schedule{RefreshAt: 0.9, Lead: 30 * time.Second}, false, 0, 70 * time.Second},
		{"lead as long as the lifetime", 30 * time.Second, Schedule{RefreshAt: 0.75, Lead: 30 * time.Second}, false, 0, 15 * time.Second},
		{"lead longer than the lifetime", 10 * time.Second, Schedule{RefreshAt: 0.75, Lead: time.Hour}, false, 0, 5 * time.Second},
		{"jitter comes earlier, never later", time.Hour, Schedule{RefreshAt: 0.75, Jitter: 0.1}, false, 0.5, 42 * time.Minute},
		{"jitter takes half of the wait at most", time.Hour, Schedule{RefreshAt: 0.2, Jitter: 0.5}, false, 0.999999, 6 * time.Minute},
		{"cold: from the second half of the wait", time.Hour, Schedule{RefreshAt: 0.75, Jitter: 0.1}, true, 0.5, 33*time.Minute + 45*time.Second},
		{"no lifetime", 0, Schedule{RefreshAt: 0.75, Lead: time.Second}, false, 0, 0},
		{"negative lifetime", -time.Hour, Schedule{RefreshAt: 0.75, Lead: time.Second}, true, 0.3, 0},
		{"a year", 365 * 24 * time.Hour, Schedule{RefreshAt: 0.5}, false, 0, 4380 * time.Hour},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := c.s.refreshAt(token.Token{IssuedAt: issued, ExpiresAt: issued.Add(c.lifetime)}, c.cold, 0, c.u).Sub(issued)
			if (got - c.want).Abs() > time.Second {
				t.Errorf("after %v, want %v", got, c.want)
			}
		})
	}
}

func TestPhaseIsEvenAndRepeatable(t *testing.T) {
	const n, buckets = 10_000, 20
	var counts [buckets]int
	for i := range n {
		name := "tenant-" + string(rune('a'+i%26)) + time.Duration(i).String()
		u := phase(name, 1)
		if u != phase(name, 1) || u < 0 || u >= 1 {
			t.Fatalf("phase(%q) = %v", name, u)
		}
		counts[int(u*buckets)]++
	}
	for i, c := range counts {
		if mean := n / buckets; c > mean*5/4 || c < mean*3/4 {
			t.Errorf("bucket %d of %d holds %d, mean %d", i, buckets, c, mean)
		}
	}
}

func TestCronRefreshesAtItsInstantsToo(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) { // the bubble's clock starts at midnight UTC
		s := &server{lifetime: 24 * time.Hour, rotates: true}
		g.policy.Schedule.Cron = crons(t, "CRON_TZ=UTC 55 1 * * *")
		g.policy.Schedule.LoginCron = crons(t, "CRON_TZ=UTC 0 4 * * *")
		begin := time.Now().Round(0)
		g.apply(g.spec("a", s))
		pass(5 * time.Hour)
		calls := s.seen()
		if len(calls) != 3 || calls[1].kind != "refresh" || calls[1].at.Sub(begin) != 115*time.Minute ||
			calls[2].kind != "login" || calls[2].at.Sub(begin) != 4*time.Hour {
			t.Errorf("%v", calls)
		}
	})
}

// pizauth#48, taskcluster#5269: timers stand still in suspend.
func TestSuspendedMachineWakesWithinANap(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, now: g.now}
		g.apply(g.spec("a", s))
		pass(time.Minute)
		g.turn(8 * time.Hour) // the lid was closed: the wall clock went on, timers did not
		pass(maxNap + time.Second)
		if n := len(s.seen()); n != 2 {
			t.Fatalf("%d requests after the wake-up", n)
		}
		if st := g.status("a"); st.State != token.StateFresh || st.ExpiresAt.Before(g.now()) {
			t.Errorf("%v", st.State)
		}
	})
}

func TestClockSteppedAheadCostsOneRefreshNoLoop(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, 10 * 365 * 24 * time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				s := &server{lifetime: time.Hour, now: g.now}
				g.apply(g.spec("a", s))
				pass(time.Minute)
				g.turn(step)
				pass(10 * time.Minute)
				if n := len(s.seen()); n != 2 {
					t.Errorf("%d requests", n)
				}
				if len(g.events.of(ClockStepped)) != 1 {
					t.Error("the step was not reported")
				}
			})
		})
	}
}

// A clock that is set back must not make the token seem to live longer.
func TestClockSteppedBackMovesThePlanWithIt(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, now: g.now}
		g.apply(g.spec("a", s))
		born := time.Now()
		pass(time.Minute)
		g.turn(-time.Hour)
		pass(maxNap + time.Second)
		if left := g.status("a").ExpiresAt.Sub(g.now()); left > time.Hour {
			t.Errorf("%v are left of one hour", left)
		}
		pass(45 * time.Minute)
		if calls := s.seen(); len(calls) < 2 || time.Since(born) < 45*time.Minute {
			t.Errorf("%d requests %v after the first", len(calls), time.Since(born))
		}
	})
}

func TestRefreshInFlightWhileTheClockIsSteppedBack(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, now: g.now}
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			a, err := s.grant(c)
			time.Sleep(10 * time.Second)
			return a, err, true
		})
		g.apply(g.spec("a", s))
		pass(time.Second)
		g.turn(-24 * time.Hour)
		pass(10 * time.Second)
		st := g.status("a")
		if left := st.ExpiresAt.Sub(g.now()); left > time.Hour {
			t.Errorf("%v are left of one hour", left)
		}
		if wait := st.NextAttempt.Sub(g.now()); wait > 45*time.Minute {
			t.Errorf("the next refresh is planned %v ahead", wait)
		}
	})
}

func TestBootIn1970KeepsTheStoredTokenAndRecovers(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		real := g.now()
		g.stop()
		g.turn(time.Unix(0, 0).Sub(real)) // no battery behind the clock
		g.start()
		g.store.records["a"] = token.Record{Binding: "b", Token: token.Token{Generation: 5, AccessToken: token.NewSecret("kept"),
			IssuedAt: real.Add(-10 * time.Minute).Round(0), ExpiresAt: real.Add(50 * time.Minute).Round(0)}}
		s := &server{lifetime: time.Hour, now: g.now}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		if sink.current().Generation != 5 {
			t.Error("the stored token is not served")
		}
		g.turn(real.Sub(g.now())) // the network's time arrives
		pass(2 * time.Minute)
		if st := g.status("a"); st.State != token.StateFresh {
			t.Errorf("%v", st.State)
		}
		if n := len(s.seen()); n > 2 {
			t.Errorf("%d requests", n)
		}
	})
}
