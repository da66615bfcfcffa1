package refresher

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

func fleet(g *rig, n int, s Source) (specs []*Spec) {
	for i := range n {
		specs = append(specs, g.spec(fmt.Sprintf("tenant-%d", i), s))
	}
	return specs
}

// external-secrets#4231: a start aligned every refresh into one spike.
func TestTokensBornTogetherAreSpreadFromTheFirstRefreshOnAndStaySpread(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		const n = 2000
		s := &server{lifetime: time.Minute}
		g.policy.Schedule.Lead, g.policy.Schedule.Jitter = 15*time.Second, 0.1
		begin := time.Now()
		g.apply(fleet(g, n, s)...)
		pass(5 * time.Minute)
		perSecond := map[int]int{}
		for _, c := range s.seen()[n:] {
			perSecond[int(c.at.Sub(begin)/time.Second)]++
		}
		window := 22.5 // seconds: the second half of the wait of 45 s
		for second, count := range perSecond {
			if float64(count) > 1.5*n/window {
				t.Errorf("second %d has %d requests, mean %.0f", second, count, n/window)
			}
		}
	})
}

// anthropic-auth#40: Retry-After was ignored.
func TestRetryAfterIsObeyed(t *testing.T) {
	cases := []struct {
		name        string
		lifetime    time.Duration
		after, want time.Duration
	}{
		{"seconds", time.Hour, 2 * time.Minute, 2 * time.Minute},
		{"absurd: capped at an hour", 30 * time.Hour, 1000 * time.Hour, time.Hour},
		{"beyond the expiry: one wake before", time.Hour, 50 * time.Minute, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				s := &server{lifetime: c.lifetime, rotates: true}
				g.apply(g.spec("a", s))
				pass(time.Until(g.status("a").NextAttempt) - time.Millisecond)
				s.script(func(_ context.Context, _ call, n int) (token.Answer, error, bool) {
					return token.Answer{}, &token.Failure{Class: token.Transient, Status: 429, RetryAfter: c.after}, n == 2
				})
				left := time.Until(g.status("a").ExpiresAt)
				pass(c.lifetime)
				calls := s.seen()
				wait := calls[2].at.Sub(calls[1].at)
				want := c.want
				if c.want == 0 { // to be woken before the expiry
					want = left - 10*time.Second
				}
				if wait < want-time.Second || wait > want+10*time.Second {
					t.Errorf("waited %v, want %v", wait, want)
				}
			})
		})
	}
}

// bucket is a server that grants so many requests a second and sends the others
// away with Retry-After: 1.
type bucket struct {
	server
	rate int

	mu      sync.Mutex
	second  int64
	used    int
	refused int
}

func (b *bucket) Login(ctx context.Context) (token.Answer, error) {
	b.mu.Lock()
	if now := time.Now().Unix(); now != b.second {
		b.second, b.used = now, 0
	}
	b.used++
	over := b.used > b.rate
	if over {
		b.refused++
	}
	b.mu.Unlock()
	time.Sleep(2 * time.Millisecond)
	if over {
		return token.Answer{}, &token.Failure{Class: token.Transient, Status: 429, RetryAfter: time.Second}
	}
	return b.server.Login(ctx)
}

func TestFleetLearnsWhatARateLimitedProviderGrants(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		const n = 5000
		b := &bucket{server: server{lifetime: time.Hour}, rate: 500}
		g.policy.Schedule.MinInterval = time.Second
		begin := time.Now()
		g.apply(fleet(g, n, b)...)
		for range 120 {
			pass(time.Second)
			if done := len(b.seen()); done == n {
				break
			}
		}
		took := time.Since(begin)
		b.mu.Lock()
		defer b.mu.Unlock()
		if attempts := float64(n+b.refused) / n; attempts > 1.1 {
			t.Errorf("%.2f attempts a token", attempts)
		}
		if took > 2*n/500*time.Second {
			t.Errorf("took %v, at the granted rate it takes %v", took, n/500*time.Second)
		}
		t.Logf("%d refused, %v for %d tokens at 500/s", b.refused, took, n)
	})
}

func TestConfiguredRateAndConcurrencyAreKept(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		var mu sync.Mutex
		now, most := 0, 0
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(100 * time.Millisecond)
			mu.Lock()
			now--
			mu.Unlock()
			return token.Answer{}, nil, false
		})
		specs := fleet(g, 300, s)
		if err := g.r.Apply(t.Context(), specs, map[string]Limits{"p": {Concurrency: 3, Rate: 20}}); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		pass(16 * time.Second)
		if n := len(s.seen()); n != 300 {
			t.Errorf("%d requests after %v, want 300 at 20/s", n, time.Since(begin))
		}
		if took := s.seen()[299].at.Sub(begin); took < 14*time.Second {
			t.Errorf("300 requests within %v at 20/s", took)
		}
		if most > 3 {
			t.Errorf("%d requests in flight", most)
		}
	})
}

// An outage must be over for everybody soon after it is over, without a stampede
// and without a token lost that had time left.
func TestOutageShorterThanWhatRemainsLosesNoToken(t *testing.T) {
	for name, reply := range map[string]func(context.Context, call, int) (token.Answer, error, bool){
		"refused": func(context.Context, call, int) (token.Answer, error, bool) { return token.Answer{}, notSent(), true },
		"reset":   func(context.Context, call, int) (token.Answer, error, bool) { return token.Answer{}, lost(), true },
		"503": func(context.Context, call, int) (token.Answer, error, bool) {
			return token.Answer{}, unavailable(), true
		},
		"hanging": hang,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				const n = 1000
				s := &server{lifetime: time.Minute}
				g.policy.Schedule = Schedule{RefreshAt: 0.75, Jitter: 0.1, Lead: 15 * time.Second, MinInterval: time.Second}
				g.apply(fleet(g, n, s)...)
				pass(2 * time.Minute)
				s.script(reply)
				pass(10 * time.Second)
				s.script(nil)
				pass(time.Minute)
				if lost := len(g.events.of(Expired)); lost > 0 {
					t.Errorf("%d of %d tokens expired", lost, n)
				}
			})
		})
	}
}

func TestClockSetBackDoesNotHoldALaneThatIsClimbing(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLane(Limits{Concurrency: 64})
	l.enqueue(&entry{}, now)
	for range firstWave {
		if ok, _ := l.admit(now); !ok {
			t.Fatal("the first requests have to wait")
		}
		l.inFlight++
		l.sent++
	}
	back := now.Add(-time.Hour)
	l.shift(-time.Hour)
	if ok, again := l.admit(back); ok || !again.Equal(back.Add(rampEvery)) {
		t.Fatalf("admitted %v, to be asked again at %v", ok, again)
	}
	if ok, _ := l.admit(back.Add(rampEvery)); !ok {
		t.Error("the lane does not climb any more")
	}
}
