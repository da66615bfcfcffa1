package refresher

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tokend-project/tokend/internal/token"
)

func TestADayOfRefreshesAtExactInstants(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		begin := time.Now().Round(0)
		g.apply(g.spec("a", s, sink))
		pass(24 * time.Hour)

		calls := s.seen()
		if calls[0].kind != "login" || !calls[0].at.Equal(begin) {
			t.Fatalf("the first request is %v, not a login at once", calls[0])
		}
		// Born cold: the first refresh is drawn from the second half of the wait.
		first := calls[1].at.Sub(begin)
		if want := 45*time.Minute - scale(45*time.Minute/2, phase("a", 1)); first != want {
			t.Errorf("first refresh after %v, want %v", first, want)
		}
		for i := 2; i < len(calls); i++ {
			if calls[i].kind != "refresh" {
				t.Errorf("request %d is a %s", i, calls[i].kind)
			}
			if got := calls[i].at.Sub(calls[i-1].at); got != 45*time.Minute {
				t.Errorf("refresh %d came %v after the one before, want 45m", i, got)
			}
		}
		if want := 1 + 1 + int((24*time.Hour-first)/(45*time.Minute)); len(calls) != want {
			t.Errorf("%d requests in a day, want %d", len(calls), want)
		}
		if st := g.status("a"); int(st.Generation) != len(calls) || sink.current().Generation != st.Generation {
			t.Errorf("generation %d, the sink holds %d after %d requests", st.Generation, sink.current().Generation, len(calls))
		}
		if len(s.reused) != 0 {
			t.Errorf("superseded refresh tokens were presented: %d", len(s.reused))
		}
	})
}

func TestPersistBeforePublish(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		published := 0
		sink.fail = func(int) error {
			published++
			if rec := g.store.get("a"); rec.Generation != uint64(published) || rec.Intent != nil {
				t.Errorf("a sink is written while the store holds generation %d with intent %v", rec.Generation, rec.Intent)
			}
			return nil
		}
		g.apply(g.spec("a", s, sink))
		pass(3 * time.Hour)
		if published < 4 {
			t.Errorf("published %d times", published)
		}
	})
}

func TestIntentIsDurableBeforeARefreshTokenIsSpent(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			rec := g.store.get("a")
			if c.kind == "refresh" && (rec.Intent == nil || rec.Intent.Spent != c.refresh.Sum() || rec.Intent.Attempt != 1) {
				t.Errorf("refresh sent with intent %+v", rec.Intent)
			}
			return token.Answer{}, nil, false
		})
		g.apply(g.spec("a", s))
		pass(3 * time.Hour)
		if n := len(s.seen()); n < 4 {
			t.Fatalf("%d requests", n)
		}
	})
}

func TestNoRequestWhenTheStoreTakesNoIntent(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		full := errors.New("no space left on device")
		g.store.setFail(func(token.Record) error { return full })
		pass(50 * time.Minute)
		if n := len(s.seen()); n != 1 {
			t.Fatalf("%d requests; a refresh token was spent although its answer could not be kept", n)
		}
		st := g.status("a")
		if st.State != token.StateRetrying || st.LastError == nil || !strings.Contains(st.LastError.Message, "no space left") {
			t.Errorf("status %v, problem %v", st.State, st.LastError)
		}
		g.store.setFail(nil)
		pass(2 * time.Minute)
		if calls := s.seen(); len(calls) != 2 || calls[1].kind != "refresh" {
			t.Errorf("after the disk recovered: %v", calls)
		}
		if g.status("a").State != token.StateFresh {
			t.Errorf("state %v", g.status("a").State)
		}
	})
}

func TestAnswerThatCannotBeSavedIsKeptPublishedAndSavedLater(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		g.store.setFail(func(r token.Record) error {
			if r.Intent == nil { // the intent is taken, the answer is not
				return errors.New("input/output error")
			}
			return nil
		})
		pass(46 * time.Minute)
		if got := sink.current().Generation; got != 2 {
			t.Fatalf("the sink holds generation %d, want the answer that is only in memory", got)
		}
		if len(g.events.of(StateFailed)) == 0 {
			t.Error("no alarm")
		}
		g.store.setFail(nil)
		pass(2 * time.Minute)
		rec := g.store.get("a")
		if rec.Generation != 2 || rec.Intent != nil || !rec.RefreshToken.Equal(s.current) {
			t.Errorf("stored: generation %d, intent %v", rec.Generation, rec.Intent)
		}
	})
}

func TestRefusedRefreshLogsInAtOnceAndOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		g.apply(g.spec("a", s))
		s.mu.Lock()
		s.current = token.NewSecret("revoked") // the family is gone on the server
		s.mu.Unlock()
		pass(46 * time.Minute)
		calls := s.seen()
		if len(calls) != 3 || calls[1].kind != "refresh" || calls[2].kind != "login" || calls[2].at != calls[1].at {
			t.Fatalf("%v", calls)
		}
		if st := g.status("a"); st.State != token.StateFresh || st.Generation != 2 {
			t.Errorf("%v generation %d", st.State, st.Generation)
		}
	})
}

func TestRefusedLoginsSlowDownSoThatNoAccountIsLockedOut(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		s.script(func(context.Context, call, int) (token.Answer, error, bool) { return token.Answer{}, rejected(), true })
		g.apply(g.spec("a", s))
		pass(15 * time.Minute)
		if n := len(s.seen()); n > 6 {
			t.Errorf("%d refused logins in a quarter of an hour", n)
		}
		pass(24 * time.Hour)
		if n := len(s.seen()); n > 60 || n < 24 {
			t.Errorf("%d refused logins in a day, want about one an hour", n)
		}
	})
}

// A server that accepts every login, refuses every refresh and hands out tokens
// that last no time must not make a hot loop out of re-logins.
func TestHotLoopImmunity(t *testing.T) {
	answers := map[string]func(s *server, c call) (token.Answer, error){
		"missing lifetime": func(*server, call) (token.Answer, error) {
			now := time.Now()
			return token.Answer{AccessToken: token.NewSecret("x"), IssuedAt: now, ExpiresAt: now}, nil
		},
		"already expired": func(*server, call) (token.Answer, error) {
			now := time.Now()
			return token.Answer{AccessToken: token.NewSecret("x"), RefreshToken: token.NewSecret("r"), IssuedAt: now, ExpiresAt: now.Add(-time.Hour)}, nil
		},
		"one-second lifetime": func(s *server, c call) (token.Answer, error) {
			a, _ := s.grant(call{kind: "login"})
			a.ExpiresAt = a.IssuedAt.Add(time.Second)
			return a, nil
		},
		"every refresh refused": func(s *server, c call) (token.Answer, error) {
			if c.kind == "refresh" {
				return token.Answer{}, rejected()
			}
			a, _ := s.grant(call{kind: "login"})
			a.RefreshToken = token.NewSecret("useless")
			a.ExpiresAt = a.IssuedAt.Add(time.Second)
			return a, nil
		},
		"everything refused": func(*server, call) (token.Answer, error) { return token.Answer{}, rejected() },
		"throttled without Retry-After": func(*server, call) (token.Answer, error) {
			return token.Answer{}, &token.Failure{Class: token.Transient, Status: 429}
		},
		"always 503": func(*server, call) (token.Answer, error) { return token.Answer{}, unavailable() },
		"invalid client": func(*server, call) (token.Answer, error) {
			return token.Answer{}, &token.Failure{Class: token.Misconfigured, Status: 401}
		},
		"garbage with 200": func(*server, call) (token.Answer, error) {
			return token.Answer{}, &token.Failure{Class: token.Ambiguous, Reason: "garbled", Status: 200}
		},
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				s := &server{lifetime: time.Second, rotates: true}
				s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
					a, err := answer(s, c)
					return a, err, true
				})
				g.apply(g.spec("a", s))
				pass(10 * time.Minute)
				n := len(s.seen())
				if floor := int(10*time.Minute/g.policy.Schedule.MinInterval) + 1; n > floor {
					t.Errorf("%d requests in ten minutes with a floor of one per 10 s (%d)", n, floor)
				}
				if n < 3 {
					t.Errorf("only %d requests: the token was given up", n)
				}
			})
		})
	}
}

// HTCondor and NangoHQ/nango#298: the answer's missing refresh token is no reason
// to drop anything.
func TestAnswerWithoutRefreshTokenKeepsTheOldOne(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			a, _ := s.grant(c)
			if c.kind == "login" {
				a.RefreshToken = token.NewSecret("the only one")
			}
			return a, nil, true
		})
		g.apply(g.spec("a", s))
		pass(5 * time.Hour)
		for _, c := range s.seen()[1:] {
			if c.kind != "refresh" || c.refresh.Reveal() != "the only one" {
				t.Errorf("%v", c)
			}
		}
		if g.store.get("a").Rotation != token.RotationNone {
			t.Error("it was not learnt that the server does not rotate")
		}
	})
}

func TestTokenWithoutRefreshTokenJustLogsInAgain(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		g.apply(g.spec("a", s))
		pass(5 * time.Hour)
		calls := s.seen()
		if len(calls) < 6 || slices.ContainsFunc(calls, func(c call) bool { return c.kind != "login" }) {
			t.Errorf("%v", calls)
		}
	})
}

// A refresh token of an answer whose access token is unusable is the one that
// counts from then on.
func TestSalvagedRefreshTokenIsSavedAndUsed(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		s.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
			if n != 2 {
				return token.Answer{}, nil, false
			}
			a, _ := s.grant(c)
			return token.Answer{RefreshToken: a.RefreshToken}, &token.Failure{Class: token.Ambiguous, Status: 200, Reason: "access_token"}, true
		})
		g.apply(g.spec("a", s, sink))
		pass(46 * time.Minute)
		calls := s.seen()
		if len(calls) < 3 || calls[2].kind != "refresh" || calls[2].refresh.Reveal() != "refresh-2" {
			t.Fatalf("%v", calls)
		}
		if got := sink.current(); got.Generation != 2 {
			t.Errorf("the sink holds %d", got.Generation)
		}
		if len(s.reused) != 0 {
			t.Error("a superseded refresh token was presented")
		}
	})
}

func TestOutageLongerThanTheLifetimeNeverExtendsTheExpiryAndRecovers(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		held := sink.current()
		s.script(func(context.Context, call, int) (token.Answer, error, bool) { return token.Answer{}, notSent(), true })
		pass(3 * time.Hour)
		st := g.status("a")
		if st.State != token.StateExpired || !st.ExpiresAt.Equal(held.ExpiresAt) {
			t.Errorf("%v, expires %v, want expired at %v", st.State, st.ExpiresAt, held.ExpiresAt)
		}
		if !reflect.DeepEqual(sink.current(), held) {
			t.Error("the file was changed without a new token")
		}
		if n := len(g.events.of(Expired)); n != 1 {
			t.Errorf("the expiry was reported %d times", n)
		}
		s.script(nil)
		pass(time.Minute)
		if g.status("a").State != token.StateFresh {
			t.Error("no recovery within a minute of the outage's end")
		}
	})
}

// Several attempts must fit before expiry, whatever the server does.
func TestRetriesLeaveSeveralAttemptsBeforeExpiry(t *testing.T) {
	for name, reply := range map[string]func(context.Context, call, int) (token.Answer, error, bool){
		"refused": func(context.Context, call, int) (token.Answer, error, bool) { return token.Answer{}, notSent(), true },
		"hanging": hang,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				s := &server{lifetime: time.Minute}
				g.policy.Schedule.Lead = 15 * time.Second
				g.apply(g.spec("a", s))
				expires := g.status("a").ExpiresAt
				s.script(reply)
				time.Sleep(time.Until(expires))
				if n := len(s.seen()) - 1; n < 4 {
					t.Errorf("%d attempts before expiry", n)
				}
			})
		})
	}
}

func TestShutdownWaitsForARefreshInFlightAndPublishesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		s.script(func(_ context.Context, c call, _ int) (token.Answer, error, bool) {
			time.Sleep(8 * time.Second) // the server is slow
			a, err := s.grant(c)
			return a, err, true
		})
		time.Sleep(time.Until(g.status("a").NextAttempt) + time.Second)
		g.stop()
		if got := g.store.get("a"); got.Generation != 2 || got.Intent != nil {
			t.Errorf("stored generation %d, intent %v", got.Generation, got.Intent)
		}
		if got := sink.current().Generation; got != 2 {
			t.Errorf("the sink holds generation %d", got)
		}
	})
}

func TestRestartWithLiveTokensMakesNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		s := &server{lifetime: time.Hour, rotates: true}
		sink := &slot{}
		g.apply(g.spec("a", s, sink))
		g.stop()
		planned := g.status("a").NextAttempt
		pass(10 * time.Minute)
		fresh := &slot{}
		g.start()
		defer func() { g.stop() }()
		g.apply(g.spec("a", s, fresh))
		if n := len(s.seen()); n != 1 {
			t.Fatalf("%d requests", n)
		}
		if fresh.current().Generation != 1 {
			t.Error("the sink was not reconciled from the state")
		}
		if got := g.status("a").NextAttempt; !got.Equal(planned) {
			t.Errorf("planned for %v, before the restart it was %v", got, planned)
		}
	})
}

// Retries do not move the instant at which a token was to be replaced: how late it
// is shows against that. Each tells what Status does, in any order.
func TestStatusTellsWhenATokenWasDueHoweverOftenItIsRetried(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &server{lifetime: time.Hour}
		g.apply(g.spec("a", s, &slot{}), g.spec("b", &server{lifetime: time.Hour}))
		due := g.status("a").Due
		if due.IsZero() || !due.Equal(g.status("a").NextAttempt) {
			t.Fatalf("due at %v, next attempt at %v", due, g.status("a").NextAttempt)
		}
		s.script(func(context.Context, call, int) (token.Answer, error, bool) {
			return token.Answer{}, unavailable(), true
		})
		pass(due.Sub(g.now()) + 2*time.Minute)
		if st := g.status("a"); st.Failures < 2 || !st.Due.Equal(due) {
			t.Errorf("after %d failures it is due at %v, not %v", st.Failures, st.Due, due)
		}
		var each []token.Status
		g.r.Each(func(s *token.Status) {
			kept := *s
			kept.Sinks = slices.Clone(s.Sinks)
			each = append(each, kept)
		})
		slices.SortFunc(each, func(a, b token.Status) int { return strings.Compare(a.Name, b.Name) })
		if all := g.r.Status(); len(all) != 2 || !reflect.DeepEqual(each, all) {
			t.Errorf("Each tells\n%v, Status\n%v", each, all)
		}
		s.script(nil)
		pass(2 * time.Minute)
		if st := g.status("a"); st.Failures != 0 || !st.Due.After(due) {
			t.Errorf("after it came, with %d failures, it is due at %v", st.Failures, st.Due)
		}
	})
}

// What is due soon goes along with what is due now, by a share of its lifetime; but
// not what a person has named the instant of.
func TestTokensThatAreDueSoonGoAlong(t *testing.T) {
	const beyond = mostSlack + 100*time.Millisecond
	for name, c := range map[string]struct {
		due, went []time.Duration
		cron      bool // of the last one
	}{
		"soon":              {due: []time.Duration{0, 300 * time.Millisecond}, went: []time.Duration{0, 0}},
		"soon and later":    {due: []time.Duration{0, mostSlack, beyond}, went: []time.Duration{0, 0, beyond}},
		"at a named moment": {due: []time.Duration{0, 200 * time.Millisecond}, went: []time.Duration{0, 200 * time.Millisecond}, cron: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *rig) {
				first := g.now().Add(45 * time.Minute)
				var servers []*server
				var specs []*Spec
				for i, due := range c.due {
					servers = append(servers, &server{lifetime: time.Hour})
					s := g.spec(string(rune('a'+i)), servers[i])
					issued := g.now().Add(due)
					rec := token.Record{Binding: s.Binding, Token: token.Token{Generation: 2, AccessToken: token.NewSecret("x"), IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)}}
					if err := g.store.Save(t.Context(), s.Name, rec); err != nil {
						t.Fatal(err)
					}
					specs = append(specs, s)
				}
				if last := len(specs) - 1; c.cron {
					specs[last].Policy.Schedule.Cron = []cron.Schedule{at(first.Add(c.due[last]))}
				}
				g.apply(specs...)
				pass(46 * time.Minute)
				for i, s := range servers {
					if calls := s.seen(); len(calls) != 1 || calls[0].at.Sub(first) != c.went[i] {
						t.Errorf("token %d, due after %v, made the requests %v, want one after %v", i, c.due[i], calls, c.went[i])
					}
				}
			})
		})
	}
}

// at is a schedule of one instant.
type at time.Time

func (a at) Next(t time.Time) time.Time {
	if once := time.Time(a); once.After(t) {
		return once
	}
	return time.Time{}
}
