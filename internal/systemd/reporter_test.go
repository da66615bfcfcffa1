package systemd

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// desk is a service manager that writes down what it is told, and a daemon whose
// tokens a test makes up.
type desk struct {
	mu      sync.Mutex
	told    []told
	tokens  []token.Status
	problem *token.Problem
	deaf    error
}

type told struct {
	at    time.Time
	state string
}

func (d *desk) send(state string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, told{time.Now(), state})
	return d.deaf
}

// take lists the assignments since the last call.
func (d *desk) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines []string
	for _, t := range d.told {
		lines = append(lines, strings.Split(t.state, "\n")...)
	}
	d.told = nil
	return lines
}

// when lists the instants at which something was told, since began.
func (d *desk) when(assignment string, began time.Time) []time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	var at []time.Duration
	for _, t := range d.told {
		if slices.ContainsFunc(strings.Split(t.state, "\n"), func(l string) bool { return strings.HasPrefix(l, assignment) }) {
			at = append(at, t.at.Sub(began))
		}
	}
	return at
}

func (d *desk) set(tokens ...token.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tokens = tokens
}

func (d *desk) reporter(ready Ready, watchdog time.Duration) *Reporter {
	return New(Options{
		Manager: NewManager(d.send, watchdog), Ready: ready, Logger: slog.New(slog.DiscardHandler),
		Tokens: func() []token.Status {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.tokens
		},
		Problem: func() *token.Problem {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.problem
		},
	})
}

// run runs r until the test ends it, and returns what ends its serving.
func run(t *testing.T, r *Reporter) (drain func()) {
	t.Helper()
	serving, drain := context.WithCancel(t.Context())
	var group sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	group.Go(func() { r.Run(ctx, serving) })
	t.Cleanup(func() {
		drain()
		stop()
		group.Wait()
	})
	return drain
}

func tok(name string, state token.State, generation uint64, held ...uint64) token.Status {
	t := token.Status{Name: name, State: state, Generation: generation}
	if generation > 0 && state != token.StateExpired {
		t.ExpiresAt = time.Now().Add(time.Hour)
	}
	for range held {
		t.Sinks = append(t.Sinks, token.SinkStatus{Kind: "file", Target: "/run/" + name})
	}
	for i, g := range held {
		t.Sinks[i].Generation = g
	}
	return t
}

// news lets something happen and be reported.
func (d *desk) news(r *Reporter, tokens ...token.Status) []string {
	d.set(tokens...)
	r.Observe(refresher.Event{})
	time.Sleep(time.Second)
	synctest.Wait()
	return d.take()
}

func TestReadyWhenEverySinkHeldItsTokenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.set(tok("a", token.StatePending, 0, 0, 0), tok("b", token.StatePending, 0))
		r := d.reporter(Delivered, 0)
		run(t, r)
		synctest.Wait()
		expect(t, "at the start", d.take(), "STATUS=starting: 2 not obtained yet: a b")
		expect(t, "one of two sinks", d.news(r, tok("a", token.StateFresh, 1, 1, 0), tok("b", token.StatePending, 0)), "STATUS=starting: 1 token fresh, 1 not obtained yet: b")
		expect(t, "both sinks", d.news(r, tok("a", token.StateFresh, 1, 1, 1), tok("b", token.StatePending, 0)))
		// What was held once counts, although its next generation is on its way when
		// the other token arrives.
		expect(t, "all at different times", d.news(r, tok("a", token.StateFresh, 2, 2, 1), tok("b", token.StateFresh, 1)),
			"READY=1", "STATUS=2 tokens fresh")
		expect(t, "never unready", d.news(r, tok("a", token.StateExpired, 2, 2, 1), tok("b", token.StateFresh, 1)),
			"STATUS=1 token fresh, 1 expired: a")
	})
}

func TestNotReadyWithWhatHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.set(tok("a", token.StateExpired, 3, 3))
		r := d.reporter(Delivered, 0)
		run(t, r)
		synctest.Wait()
		expect(t, "resumed, but expired", d.take(), "STATUS=starting: 1 expired: a")
		expect(t, "renewed", d.news(r, tok("a", token.StateFresh, 4, 4)), "READY=1", "STATUS=1 token fresh")
	})
}

func TestReadyAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		ready  Ready
		tokens []token.Status
		status string
	}{
		"chosen":   {Started, []token.Status{tok("a", token.StatePending, 0, 0)}, "STATUS=1 not obtained yet: a"},
		"standby":  {Delivered, []token.Status{tok("a", token.StateStandby, 0, 0)}, "STATUS=standing by: other replicas keep 1 token"},
		"no token": {Delivered, nil, "STATUS=no tokens are configured"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &desk{tokens: c.tokens}
				run(t, d.reporter(c.ready, 0))
				synctest.Wait()
				expect(t, name, d.take(), "READY=1", c.status)
			})
		})
	}
}

func TestReloadsAreOneHowManyThereAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.set(tok("a", token.StateFresh, 1, 1))
		r := d.reporter(Delivered, 0)
		run(t, r)
		synctest.Wait()
		d.take()
		first, second := r.Reloading(), r.Reloading()
		got := d.take()
		if len(got) != 2 || got[0] != "RELOADING=1" || !strings.HasPrefix(got[1], "MONOTONIC_USEC=") || len(got[1]) < len("MONOTONIC_USEC=1") {
			t.Errorf("a reload begins with %q", got)
		}
		first()
		first()
		expect(t, "one of two is done", d.take())
		second()
		expect(t, "both are done", d.take(), "READY=1")
		d.problem = &token.Problem{Message: "tokend.hcl:3: unknown key\nand more"}
		r.Reloading()()
		time.Sleep(time.Second)
		synctest.Wait()
		got = d.take()
		expect(t, "a refused one", got[2:], "READY=1",
			"STATUS=1 token fresh; a new configuration was refused, the last good one runs on: tokend.hcl:3: unknown key")
	})
}

// systemd takes READY=1 for the end of the start, whatever was meant by it.
func TestReloadDuringTheStartDoesNotMakeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.set(tok("a", token.StatePending, 0, 0))
		r := d.reporter(Delivered, 0)
		run(t, r)
		synctest.Wait()
		d.take()
		r.Reloading()()
		expect(t, "begun and ended", d.take())
		done := r.Reloading()
		expect(t, "delivered meanwhile", d.news(r, tok("a", token.StateFresh, 1, 1)), "STATUS=1 token fresh")
		done()
		expect(t, "ended", d.take(), "READY=1")
	})
}

// The scheduler of these tests is the real one, and hangs where a deadlock or an
// endless loop of its own would hang it: in the middle of a round.
func TestWatchdogStarvesWhenTheSchedulerHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const watchdog = time.Minute
		d := &desk{}
		gate := make(chan struct{}, 1) // empty: the next look at the clock hangs
		gate <- struct{}{}
		clock := func() time.Time {
			<-gate
			defer func() { gate <- struct{}{} }()
			return time.Now()
		}
		r := d.reporter(Delivered, watchdog)
		s := refresher.New(refresher.Options{Now: clock, Beat: r.Beat, BeatEvery: r.BeatEvery()})
		var group sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		group.Go(func() { s.Run(ctx) })
		run(t, r)
		began := time.Now()
		time.Sleep(time.Hour)
		fed := d.when("WATCHDOG=1", began)
		if len(fed) < 60*2 {
			t.Errorf("fed %d times in an hour, for a watchdog of %s", len(fed), watchdog)
		}
		for i := 1; i < len(fed); i++ {
			if gap := fed[i] - fed[i-1]; gap > watchdog/2 {
				t.Fatalf("%s between two feedings", gap)
			}
		}
		d.take()
		<-gate
		began = time.Now()
		time.Sleep(time.Hour)
		if fed := d.when("WATCHDOG=1", began); len(fed) > 1 || len(fed) == 1 && fed[0] > watchdog/2 {
			t.Errorf("fed at %v after the scheduler hung", fed)
		}
		gate <- struct{}{}
		d.take()
		time.Sleep(watchdog / 2)
		synctest.Wait()
		if !slices.Contains(d.take(), "WATCHDOG=1") {
			t.Error("not fed although the scheduler goes round again")
		}
		cancel()
		group.Wait()
	})
}

func TestStartAsksForTimeWhileTheSchedulerGoesRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		d.set(tok("a", token.StatePending, 0, 0))
		r := d.reporter(Delivered, 0) // also where there is no watchdog
		run(t, r)
		synctest.Wait()
		d.take()
		r.Beat()
		synctest.Wait()
		expect(t, "starting", d.take(), "EXTEND_TIMEOUT_USEC=60000000")
		d.news(r, tok("a", token.StateFresh, 1, 1))
		r.Beat()
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, "ready", d.take())
	})
}

func TestStopAsksForTimeWhileTheDrainTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		r := d.reporter(Started, time.Minute)
		drain := run(t, r)
		synctest.Wait()
		d.take()
		began := time.Now()
		drain()
		synctest.Wait()
		expect(t, "at once", d.take(), "STOPPING=1", "STATUS=stopping: finishing what is in flight", "EXTEND_TIMEOUT_USEC=30000000", "WATCHDOG_USEC=600000000")
		// What happens now is of no interest, and must not make it look alive.
		r.Beat()
		r.Reloading()()
		d.news(r, tok("a", token.StateFresh, 1, 1))
		time.Sleep(time.Hour)
		asked := d.when("EXTEND_TIMEOUT_USEC=", began)
		if len(asked) < 50 || asked[0] != drainStep || asked[len(asked)-1] > longestDrain {
			t.Errorf("%d times asked for more: %v", len(asked), asked)
		}
		for _, line := range d.take() {
			if !strings.HasPrefix(line, "EXTEND_TIMEOUT_USEC=") {
				t.Errorf("told while stopping: %s", line)
			}
		}
	})
}

func TestManagerThatCannotBeToldIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{deaf: errors.New("connection refused")}
		var log strings.Builder
		r := d.reporter(Started, 0)
		r.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		run(t, r)
		synctest.Wait()
		d.news(r, tok("a", token.StateFresh, 1, 1))
		d.news(r, tok("a", token.StateExpired, 1, 1))
		if n := strings.Count(log.String(), "event=notify_failed"); n != 1 {
			t.Errorf("logged %d times: %s", n, &log)
		}
	})
}

func TestWithoutAManagerNothingIsDone(t *testing.T) {
	r := New(Options{})
	if r != nil || r.BeatEvery() != 0 {
		t.Fatal("a reporter for nobody")
	}
	r.Beat()
	r.Observe(refresher.Event{})
	r.Reloading()()
	r.Run(t.Context(), t.Context())
}

func TestFromEnvironment(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	if m, err := FromEnvironment(); m != nil || err != nil {
		t.Errorf("%v, %v without a manager", m, err)
	}
	t.Setenv("NOTIFY_SOCKET", "/run/none")
	if m, err := FromEnvironment(); err != nil || m.watchdog != 0 || m.patience() != time.Minute {
		t.Errorf("%+v, %v", m, err)
	}
	t.Setenv("WATCHDOG_USEC", "20000000")
	if m, err := FromEnvironment(); err != nil || m.watchdog != 20*time.Second {
		t.Errorf("%+v, %v", m, err)
	}
	t.Setenv("WATCHDOG_PID", "1") // it is another process's watchdog
	if m, err := FromEnvironment(); err != nil || m.watchdog != 0 {
		t.Errorf("%+v, %v", m, err)
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if _, err := FromEnvironment(); err == nil {
		t.Error("a watchdog's time in words")
	}
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}
