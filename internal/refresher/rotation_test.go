package refresher

import (
	"context"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// loseAnswer lets the server commit the nth request and the client not read it.
func loseAnswer(s *server, nth int) func(context.Context, call, int) (token.Answer, error, bool) {
	return func(_ context.Context, c call, n int) (token.Answer, error, bool) {
		if n != nth {
			return token.Answer{}, nil, false
		}
		_, _ = s.grant(c)
		return token.Answer{}, lost(), true
	}
}

// Dragonite#37, claude-code#93014: a refresh that timed out had rotated on the
// server. Retrying it would revoke the family; the way out is a login.
func TestTimedOutRefreshOfAStrictServerLogsInRatherThanReplay(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		s.script(loseAnswer(s, 2))
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		pass(47 * time.Minute)
		calls := s.seen()
		if len(calls) != 3 || calls[2].kind != "login" {
			t.Fatalf("%v", calls)
		}
		if len(s.reused) != 0 {
			t.Error("a superseded refresh token was presented")
		}
		if !sink.current().AccessToken.Equal(token.NewSecret("access-3")) {
			t.Error("the sink does not hold the new token")
		}
	})
}

func TestTimedOutRefreshWithinGraceIsReplayedWithinTwoSeconds(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			a, _ := s.grant(call{kind: "login"}) // the server takes the old one within its grace
			if n == 2 {
				return token.Answer{}, lost(), true
			}
			return a, nil, true
		})
		g.policy.Grace = time.Minute
		g.apply(g.spec("a", s))
		pass(47 * time.Minute)
		calls := s.seen()
		if len(calls) != 3 || calls[2].kind != "refresh" || !calls[2].refresh.Equal(calls[1].refresh) {
			t.Fatalf("%v", calls)
		}
		if d := calls[2].at.Sub(calls[1].at); d < time.Second || d > 2*time.Second {
			t.Errorf("replayed after %v", d)
		}
	})
}

func TestServerThatDoesNotRotateIsAskedAgainWithTheSameRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			a, _ := s.grant(c)
			a.RefreshToken = token.NewSecret("stays")
			if n == 3 {
				return token.Answer{}, lost(), true
			}
			return a, nil, true
		})
		g.apply(g.spec("a", s))
		pass(95 * time.Minute)
		for _, c := range s.seen()[1:] {
			if c.kind != "refresh" || c.refresh.Reveal() != "stays" {
				t.Errorf("%v", c)
			}
		}
	})
}

// A 5xx is never a reason to log in anew.
func TestServerErrorsNeverCauseALogin(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			if n >= 2 && n <= 8 {
				return token.Answer{}, unavailable(), true
			}
			return token.Answer{}, nil, false
		})
		g.apply(g.spec("a", s))
		pass(2 * time.Hour)
		for _, c := range s.seen()[1:] {
			if c.kind != "refresh" {
				t.Errorf("%v", c)
			}
		}
		if g.status("a").State != token.StateFresh {
			t.Errorf("%v", g.status("a").State)
		}
	})
}

// A person put the first refresh token into the configuration: nobody can log in.
func TestLostAnswerOfAHumanGrantServesOnAndReplaysOnceLate(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true, seed: token.NewSecret("seed"), current: token.NewSecret("seed")}
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			if n == 2 { // lost before the server saw it
				return token.Answer{}, lost(), true
			}
			return token.Answer{}, nil, false
		})
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		expires := g.status("a").ExpiresAt
		pass(time.Until(expires) - 5*time.Second)
		calls := s.seen()
		if len(calls) != 3 || !calls[2].refresh.Equal(calls[1].refresh) {
			t.Fatalf("%v", calls)
		}
		if early := expires.Sub(calls[2].at); early > time.Minute {
			t.Errorf("replayed %v before expiry: not late", early)
		}
		if st := g.status("a"); st.State != token.StateFresh || st.Generation != 2 {
			t.Errorf("%v %d", st.State, st.Generation)
		}
	})
}

func TestRevokedHumanGrantServesUntilExpirySaysSoAndKeepsTheState(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true, seed: token.NewSecret("seed"), current: token.NewSecret("seed")}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		s.mu.Lock()
		s.current = token.NewSecret("revoked")
		s.mu.Unlock()
		held := sink.current()
		pass(50 * time.Minute)
		if len(g.events.of(NeedsHuman)) == 0 {
			t.Error("nobody was told")
		}
		if !reflect.DeepEqual(sink.current(), held) {
			t.Error("the live token was taken away")
		}
		pass(24 * time.Hour)
		if st := g.status("a"); st.State != token.StateHuman {
			t.Errorf("state %v", st.State)
		}
		if n := len(s.seen()); n > 3 {
			t.Errorf("%d requests with a refresh token that was refused", n)
		}
		if g.store.get("a").Generation != 1 {
			t.Error("the state was not kept")
		}

		// A new refresh token in the configuration is a new family, at once.
		renewed := &server{lifetime: time.Hour, rotates: true, seed: token.NewSecret("seed-2"), current: token.NewSecret("seed-2")}
		spec := g.spec("a", renewed, sink)
		spec.RequestPrint = Fingerprint{1}
		g.apply(spec)
		if st := g.status("a"); st.State != token.StateFresh || st.Generation != 2 {
			t.Errorf("after a new refresh token: %v, generation %d", st.State, st.Generation)
		}
	})
}

// NangoHQ/nango#748: some servers refuse a refresh until the access token is
// nearly over.
func TestRefreshRefusedUntilNearlyOverIsTriedAgainLate(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, seed: token.NewSecret("seed")}
		expires := time.Now().Add(time.Hour)
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			if n > 1 && time.Until(expires) > time.Minute {
				return token.Answer{}, rejected(), true
			}
			return token.Answer{}, nil, false
		})
		g.apply(g.spec("a", s))
		pass(time.Hour)
		if st := g.status("a"); st.Generation != 2 || st.State != token.StateFresh {
			t.Errorf("generation %d, %v: %v", st.Generation, st.State, st.LastError)
		}
	})
}

// teleport#13228, HTCondor's OAuthCredmon: a daemon that died between the
// server's commit and its own must not present the superseded refresh token as
// if nothing had happened.
func TestPendingIntentAtStartUpIsAnAmbiguousAttempt(t *testing.T) {
	cases := []struct {
		name     string
		rotation token.Rotation
		grace    time.Duration
		want     string
	}{
		{"strict", token.RotationSeen, 0, "login"},
		{"unknown", token.RotationUnknown, 0, "login"},
		{"within grace", token.RotationSeen, time.Hour, "refresh"},
		{"does not rotate", token.RotationNone, 0, "refresh"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				now := time.Now().Round(0)
				rt := token.NewSecret("refresh-0")
				g.store.records["a"] = token.Record{
					Token:        token.Token{Generation: 7, AccessToken: token.NewSecret("old"), IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour)},
					RefreshToken: rt, Binding: "b", Rotation: c.rotation,
					Intent: &token.Intent{Attempt: 1, Spent: rt.Sum(), Started: now.Add(-time.Second)},
				}
				s := &server{lifetime: time.Hour}
				g.policy.Grace = c.grace
				sink := &slot{}
				g.apply(g.spec("a", s, sink))
				pass(3 * time.Second)
				calls := s.seen()
				if len(calls) != 1 || calls[0].kind != c.want {
					t.Fatalf("%v, want one %s", calls, c.want)
				}
				if sink.current().Generation != 8 {
					t.Errorf("the sink holds generation %d", sink.current().Generation)
				}
			})
		})
	}
}

func TestStoredRefreshTokenIsNeverSentUnderAnotherBinding(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		other := &server{lifetime: time.Hour, rotates: true}
		spec := g.spec("a", other)
		spec.Binding = "another endpoint"
		g.apply(spec)
		calls := other.seen()
		if len(calls) != 1 || calls[0].kind != "login" {
			t.Fatalf("%v", calls)
		}
		pass(time.Hour)
		for _, c := range other.seen()[1:] {
			if c.refresh.Reveal() != "refresh-1" && len(s.seen()) != 1 {
				t.Errorf("%v", c)
			}
		}
	})
}

func TestStoredRefreshTokenIsNotSentAfterARestartUnderAnotherBinding(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		now := time.Now().Round(0)
		g.store.records["a"] = token.Record{
			Token:        token.Token{Generation: 3, AccessToken: token.NewSecret("old"), IssuedAt: now, ExpiresAt: now.Add(time.Hour)},
			RefreshToken: token.NewSecret("theirs"), Binding: "elsewhere",
		}
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		if calls := s.seen(); len(calls) != 1 || calls[0].kind != "login" {
			t.Fatalf("%v", calls)
		}
		if got := g.store.get("a"); got.Generation != 4 || got.Binding != "b" {
			t.Errorf("generation %d bound to %q", got.Generation, got.Binding)
		}
	})
}

// A refused login leaves a refresh token that is still held as the better way.
func TestLoginCronThatIsRefusedGoesBackToTheRefreshToken(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			if n > 1 && c.kind == "login" {
				return token.Answer{}, rejected(), true
			}
			return token.Answer{}, nil, false
		})
		g.policy.Schedule.LoginCron = crons(t, "10 * * * *")
		g.apply(g.spec("a", s))
		pass(6 * time.Hour)
		if st := g.status("a"); st.State == token.StateExpired || st.Refreshes < 3 {
			t.Errorf("%v after %d refreshes", st.State, st.Refreshes)
		}
		if len(s.reused) != 0 {
			t.Error("a superseded refresh token was presented")
		}
	})
}

func TestPanicOfOneTokenLeavesTheOthersAloneAndItRunsAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		bad, good := &server{lifetime: time.Hour}, &server{lifetime: time.Hour}
		bad.script(func(_ context.Context, _ call, n int) (token.Answer, error, bool) {
			if n < 3 {
				panic("a defect")
			}
			return token.Answer{}, nil, false
		})
		g.apply(g.spec("bad", bad), g.spec("good", good))
		if g.status("good").State != token.StateFresh {
			t.Error("the other token suffered")
		}
		pass(time.Minute)
		if g.status("bad").State != token.StateFresh || len(g.events.of(Panicked)) != 2 {
			t.Errorf("%v after %d panics", g.status("bad").State, len(g.events.of(Panicked)))
		}
	})
}

// Two replicas, or two requests of one: an attempt is single flight.
func TestOneTokenHasOneRequestInFlight(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		inFlight, most := 0, 0
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			s.mu.Lock()
			inFlight++
			most = max(most, inFlight)
			s.mu.Unlock()
			time.Sleep(5 * time.Second)
			s.mu.Lock()
			inFlight--
			s.mu.Unlock()
			a, err := s.grant(c)
			return a, err, true
		})
		g.apply(g.spec("a", s))
		for range 20 {
			go func() { _ = g.r.Refresh(t.Context(), "a", false) }()
		}
		pass(time.Minute)
		if most != 1 {
			t.Errorf("%d requests at once", most)
		}
		if len(s.reused) != 0 {
			t.Error("a superseded refresh token was presented")
		}
	})
}

var _ = synctest.Wait
