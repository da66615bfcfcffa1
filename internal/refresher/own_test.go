package refresher

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// shelf is what replicas share: a place whose records carry a version, as an
// object of Kubernetes or an entry of Vault does.
type shelf struct {
	mu       sync.Mutex
	records  map[string]token.Record
	versions map[string]int
}

// fencing is one replica's view of the shelf.
type fencing struct {
	shelf  *shelf
	mu     sync.Mutex
	known  map[string]int
	bulk   [][]string
	before atomic.Pointer[func()] // called before each Save
}

func (f *fencing) Load(_ context.Context, name string) (token.Record, error) {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[name] = f.shelf.versions[name]
	r, ok := f.shelf.records[name]
	if !ok {
		return r, token.ErrNoRecord
	}
	return r, nil
}

func (f *fencing) Prefetch(_ context.Context, names []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bulk = append(f.bulk, slices.Clone(names))
	return nil
}

func (f *fencing) Save(_ context.Context, name string, r token.Record) error {
	if before := f.before.Load(); before != nil {
		(*before)()
	}
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known[name] != f.shelf.versions[name] {
		return fmt.Errorf("saving %s: %w", name, token.ErrFenced)
	}
	f.shelf.versions[name]++
	f.known[name]++
	f.shelf.records[name] = r
	return nil
}

func (f *fencing) Delete(_ context.Context, name string) error {
	f.shelf.mu.Lock()
	defer f.shelf.mu.Unlock()
	delete(f.shelf.records, name)
	f.shelf.versions[name]++
	return nil
}

// replica is one of several daemons that share a shelf.
type replica struct {
	r      *Refresher
	store  *fencing
	events *journal
	owned  sync.Map // name → bool
	awake  atomic.Bool
	end    func() // ends its Run, and waits for that
}

func (p *replica) owns(name string) bool { v, _ := p.owned.Load(name); return v == true }

// give sets what the replica owns, and tells it.
func (p *replica) give(t *testing.T, names ...string) {
	t.Helper()
	p.owned.Clear()
	for _, name := range names {
		p.owned.Store(name, true)
	}
	if err := p.r.Reown(t.Context()); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// replicas runs f with two of them, in a bubble.
func replicas(t *testing.T, f func(t *testing.T, a, b *replica, spec func(name string, s Source, sinks ...Sink) *Spec)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		place := &shelf{records: map[string]token.Record{}, versions: map[string]int{}}
		ctx, cancel := context.WithCancel(context.Background())
		var both sync.WaitGroup
		var all [2]*replica
		for i := range all {
			p := &replica{store: &fencing{shelf: place, known: map[string]int{}}, events: &journal{}}
			p.awake.Store(true)
			p.r = New(Options{Store: p.store, Observers: []Observer{p.events}, Owns: p.owns,
				MayAct: func(name string) bool { return p.awake.Load() && p.owns(name) }})
			own, end := context.WithCancel(ctx)
			ended := make(chan struct{})
			p.end = func() { end(); <-ended }
			both.Go(func() {
				defer close(ended)
				defer end()
				p.r.Run(own)
			})
			all[i] = p
		}
		defer func() {
			cancel()
			both.Wait()
			time.Sleep(time.Minute)
		}()
		g := &rig{policy: Policy{Timeout: 30 * time.Second, UseRefresh: true,
			Schedule: Schedule{RefreshAt: 0.75, Lead: 30 * time.Second, MinInterval: 10 * time.Second}}}
		f(t, all[0], all[1], g.spec)
	})
}

func (p *replica) apply(t *testing.T, specs ...*Spec) {
	t.Helper()
	if err := p.r.Apply(t.Context(), specs, map[string]Limits{"p": {Concurrency: 64}}); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

func states(r *Refresher) map[string]token.State {
	out := map[string]token.State{}
	for _, s := range r.Status() {
		out[s.Name] = s.State
	}
	return out
}

func TestStandbyMakesNoRequestAndSaysThatItStandsBy(t *testing.T) {
	replicas(t, func(t *testing.T, a, _ *replica, spec func(string, Source, ...Sink) *Spec) {
		one, two := &server{lifetime: time.Hour}, &server{lifetime: time.Hour}
		sink := &slot{}
		a.owned.Store("one", true)
		a.apply(t, spec("one", one), spec("two", two, sink))
		pass(2 * time.Hour)
		if n := len(two.seen()); n != 0 {
			t.Errorf("%d requests for a token that another replica keeps", n)
		}
		if got := states(a.r); got["one"] != token.StateFresh || got["two"] != token.StateStandby {
			t.Errorf("states %v", got)
		}
		if _, err := a.r.Current("two"); !errors.Is(err, ErrStandby) {
			t.Errorf("Current of a token that is kept elsewhere: %v", err)
		}
		if err := a.r.Refresh(t.Context(), "two", false); !errors.Is(err, ErrStandby) {
			t.Errorf("Refresh of a token that is kept elsewhere: %v", err)
		}
		if _, err := a.r.Current("three"); !errors.Is(err, ErrUnknown) {
			t.Errorf("Current of a token that is not configured: %v", err)
		}
	})
}

func TestTakeoverMakesNoRequestForLiveTokens(t *testing.T) {
	replicas(t, func(t *testing.T, a, b *replica, spec func(string, Source, ...Sink) *Spec) {
		srv := &server{lifetime: time.Hour, rotates: true}
		left, right := &slot{}, &slot{}
		a.owned.Store("one", true)
		a.apply(t, spec("one", srv, left))
		b.apply(t, spec("one", srv, right), spec("other", &server{lifetime: time.Hour}))
		pass(time.Minute)
		if len(srv.seen()) != 1 || right.current().Generation != 0 {
			t.Fatalf("%d requests, standby's sink holds %d", len(srv.seen()), right.current().Generation)
		}
		a.give(t)
		if err := a.r.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.give(t, "one", "other")
		pass(time.Minute)
		if n := len(srv.seen()); n != 1 {
			t.Errorf("%d requests after the takeover, want none for the live token", n-1)
		}
		if got := right.current(); got.Generation != 1 || !reflect.DeepEqual(got, left.current()) {
			t.Errorf("the new owner's sink holds generation %d", got.Generation)
		}
		if len(b.store.bulk) != 1 || len(b.store.bulk[0]) != 2 {
			t.Errorf("prefetched %v, want both names at once", b.store.bulk)
		}
		pass(time.Hour)
		if len(srv.reused) != 0 || len(a.events.of(Fenced)) != 0 {
			t.Errorf("%d refresh tokens presented twice, %d fences in a graceful handover", len(srv.reused), len(a.events.of(Fenced)))
		}
	})
}

func TestReleasedTokenFinishesWhatIsInFlightAndKeepsItsPlaces(t *testing.T) {
	replicas(t, func(t *testing.T, a, _ *replica, spec func(string, Source, ...Sink) *Spec) {
		srv := &server{lifetime: time.Hour, rotates: true}
		srv.script(func(context.Context, call, int) (token.Answer, error, bool) {
			time.Sleep(5 * time.Second)
			return token.Answer{}, nil, false
		})
		sink := &removable{}
		s := spec("one", srv, sink)
		s.Sinks[0].Remove = true
		a.owned.Store("one", true)
		a.apply(t, s)
		for len(srv.seen()) < 2 {
			pass(time.Second)
		}
		// Owned no more, but the Lease is still held: MayAct is asked by itself.
		a.r.mayAct = func(string) bool { return true }
		a.give(t)
		began := time.Now()
		if err := a.r.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took == 0 || took > 5*time.Second {
			t.Errorf("settled after %v, want when the refresh in flight was done", took)
		}
		synctest.Wait()
		if got := a.store.shelf.records["one"]; got.Generation != 2 || got.Intent != nil {
			t.Errorf("the record has generation %d, intent %v; want the refresh committed", got.Generation, got.Intent)
		}
		if sink.current().Generation != 2 || sink.removed != 0 {
			t.Errorf("the sink holds generation %d, removed %d times", sink.current().Generation, sink.removed)
		}
		if len(a.events.of(Released)) != 1 || len(a.events.of(Retired)) != 0 {
			t.Error("want one token released and none retired")
		}
	})
}

func TestPausedReplicaThatWakesLateNeitherSpendsNorWrites(t *testing.T) {
	for _, when := range []string{"before the intent", "after the intent", "before the commit"} {
		t.Run(when, func(t *testing.T) {
			replicas(t, func(t *testing.T, a, b *replica, spec func(string, Source, ...Sink) *Spec) {
				srv := &server{lifetime: time.Hour, rotates: true}
				sink := &slot{}
				a.owned.Store("one", true)
				asked := &counted{Source: srv}
				a.apply(t, spec("one", asked, sink))
				b.apply(t, spec("one", srv, &slot{}))
				pass(time.Minute)

				taken := make(chan struct{})
				pause := func() { // a sleeps here as if stopped, while b takes over and goes on
					a.store.before.Store(nil)
					go func() { defer close(taken); b.owned.Store("one", true); _ = b.r.Reown(context.Background()) }()
					time.Sleep(2 * time.Hour)
					a.owned.Clear() // by its own clock, its Lease has ended meanwhile
				}
				secondSave := func() { a.awake.Store(false); a.store.before.Store(&pause) }
				switch when {
				case "before the intent":
					a.store.before.Store(&pause)
				case "after the intent":
					a.store.before.Store(&secondSave)
				default:
					srv.script(func(_ context.Context, c call, n int) (token.Answer, error, bool) {
						if n == 2 {
							answer, err := srv.grant(c)
							pause()
							return answer, err, true
						}
						return token.Answer{}, nil, false
					})
				}
				pass(3 * time.Hour)
				<-taken
				held := sink.current().Generation
				pass(2 * time.Hour)
				if got := sink.current().Generation; held != 1 || got != 1 {
					t.Errorf("the replica that lost its Lease wrote generation %d, then %d", held, got)
				}
				if n := asked.n.Load(); when != "before the commit" && (n != 1 || len(srv.reused) != 0) {
					t.Errorf("%d requests of the replica that was stopped, %d refresh tokens presented twice", n, len(srv.reused))
				}
				if got := b.r.Status()[0]; got.State != token.StateFresh || got.Generation < 3 {
					t.Errorf("the new owner's token is %s at generation %d", got.State, got.Generation)
				}
			})
		})
	}
}

// counted counts the requests of one replica.
type counted struct {
	Source
	n atomic.Int64
}

func (c *counted) Login(ctx context.Context) (token.Answer, error) {
	c.n.Add(1)
	return c.Source.Login(ctx)
}

func (c *counted) Refresh(ctx context.Context, rt token.Secret) (token.Answer, error) {
	c.n.Add(1)
	return c.Source.Refresh(ctx, rt)
}

func TestReplicaThatMayNotActLeavesTheRecordAlone(t *testing.T) {
	replicas(t, func(t *testing.T, a, _ *replica, spec func(string, Source, ...Sink) *Spec) {
		srv := &server{lifetime: time.Hour, rotates: true}
		a.owned.Store("one", true)
		a.apply(t, spec("one", srv))
		pass(time.Minute)
		a.awake.Store(false)
		pass(50 * time.Minute)
		if got := a.store.shelf.versions["one"]; got != 1 || len(srv.seen()) != 1 {
			t.Errorf("%d versions of the record and %d requests, want the login's alone", got, len(srv.seen()))
		}
		a.awake.Store(true)
		pass(2 * standbyFor)
		if len(srv.seen()) != 2 {
			t.Error("the refresh that was due did not follow")
		}
	})
}

func TestFencedLoginIsDroppedAndTheRecordReadAgain(t *testing.T) {
	replicas(t, func(t *testing.T, a, b *replica, spec func(string, Source, ...Sink) *Spec) {
		slow, quick := &server{lifetime: time.Hour}, &server{lifetime: time.Hour, issued: 100}
		slow.script(func(context.Context, call, int) (token.Answer, error, bool) {
			time.Sleep(10 * time.Second)
			return token.Answer{}, nil, false
		})
		sink, prepared := &slot{}, &staged{store: newMemory(), name: "one"}
		a.owned.Store("one", true)
		b.owned.Store("one", true) // a split: both believe it
		a.apply(t, spec("one", slow, sink, prepared))
		b.apply(t, spec("one", quick, &slot{}))
		pass(30 * time.Second)
		if n := len(a.events.of(Fenced)); n != 1 {
			t.Errorf("%d fences, want one", n)
		}
		if got, want := sink.current().AccessToken, b.store.shelf.records["one"].AccessToken; !got.Equal(want) || len(slow.seen()) != 1 {
			t.Errorf("the sink holds another token than the record, after %d logins", len(slow.seen()))
		}
		if !reflect.DeepEqual(prepared.current(), sink.current()) {
			t.Error("the sink that stages holds another token")
		}
		for _, w := range append(sink.writes, prepared.writes...) {
			if !w.AccessToken.Equal(b.store.shelf.records["one"].AccessToken) {
				t.Error("a fenced login was published")
			}
		}
	})
}

func TestTwoOwnersAtOnceSpendNoRefreshTokenTwice(t *testing.T) {
	replicas(t, func(t *testing.T, a, b *replica, spec func(string, Source, ...Sink) *Spec) {
		srv := &server{lifetime: time.Hour, rotates: true}
		a.owned.Store("one", true)
		a.apply(t, spec("one", srv))
		pass(time.Minute)
		b.owned.Store("one", true) // a split: both believe it, and both are due at the same instants
		b.apply(t, spec("one", srv))
		pass(12 * time.Hour)
		fences := len(a.events.of(Fenced)) + len(b.events.of(Fenced))
		if n := len(srv.seen()); len(srv.reused) != 0 || fences < 8 || n > 24 {
			t.Errorf("%d refresh tokens presented twice, %d fences, %d requests in 12 hours", len(srv.reused), fences, n)
		}
		for _, p := range []*replica{a, b} {
			if got := p.r.Status()[0].State; got != token.StateFresh {
				t.Errorf("the token is %s", got)
			}
		}
	})
}

func TestStoppedReplicaPutsNothingBack(t *testing.T) {
	for _, sink := range []interface {
		Sink
		vandalise()
		current() token.Token
	}{&slot{}, &staged{store: newMemory(), name: "one"}} {
		replicas(t, func(t *testing.T, a, _ *replica, spec func(string, Source, ...Sink) *Spec) {
			a.owned.Store("one", true)
			a.apply(t, spec("one", &server{lifetime: time.Hour}, sink))
			pass(time.Minute)
			a.awake.Store(false)
			sink.vandalise()
			pass(10 * time.Second)
			if got := sink.current(); got.Generation != 0 {
				t.Errorf("generation %d was put back", got.Generation)
			}
			a.awake.Store(true)
			pass(2 * standbyFor)
			if got := sink.current(); got.Generation != 1 {
				t.Errorf("generation %d is held, although the replica may act again", got.Generation)
			}
		})
	}
}

func TestWriteThatWasPausedOnItsWayIsNotMade(t *testing.T) {
	for _, sink := range []interface {
		Sink
		current() token.Token
	}{&slot{}, &staged{store: newMemory(), name: "one"}} {
		replicas(t, func(t *testing.T, a, _ *replica, spec func(string, Source, ...Sink) *Spec) {
			var asked atomic.Int64
			a.r.mayAct = func(string) bool { // attempt, request and delivery begin; then the process stops
				return asked.Add(1) <= 3
			}
			a.owned.Store("one", true)
			a.apply(t, spec("one", &server{lifetime: time.Hour}, sink))
			pass(500 * time.Millisecond)
			if asked.Load() != 4 || sink.current().Generation != 0 {
				t.Errorf("asked %d times; generation %d was written", asked.Load(), sink.current().Generation)
			}
		})
	}
}

func TestUnsavedAnswerReachesTheStoreBeforeTheTokenIsLetGo(t *testing.T) {
	replicas(t, func(t *testing.T, a, _ *replica, spec func(string, Source, ...Sink) *Spec) {
		srv := &server{lifetime: time.Hour, rotates: true}
		a.owned.Store("one", true)
		down := &outage{fencing: a.store}
		a.r.store = down
		a.apply(t, spec("one", srv))
		pass(time.Minute)
		srv.script(func(context.Context, call, int) (token.Answer, error, bool) {
			down.on.Store(true)
			return token.Answer{}, nil, false
		})
		pass(time.Hour)
		a.r.mayAct = func(string) bool { return true }
		a.give(t)
		short, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := a.r.Settle(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Settle: %v, although the answer is not saved", err)
		}
		down.on.Store(false)
		if err := a.r.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := a.store.shelf.records["one"]; got.Generation != 2 || !got.RefreshToken.Equal(srv.current) {
			t.Errorf("generation %d was saved", got.Generation)
		}
	})
}

type outage struct {
	*fencing
	on atomic.Bool
}

func (o *outage) Save(ctx context.Context, name string, r token.Record) error {
	if o.on.Load() {
		return errors.New("the store does not answer")
	}
	return o.fencing.Save(ctx, name, r)
}

func TestPropagationCountsIntoTheLead(t *testing.T) {
	issued := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	tok := token.Token{IssuedAt: issued, ExpiresAt: issued.Add(10 * time.Minute)}
	s := Schedule{RefreshAt: 0.9, Lead: 30 * time.Second}
	for propagation, want := range map[time.Duration]time.Duration{0: 9 * time.Minute, 90 * time.Second: 8 * time.Minute, time.Hour: 5 * time.Minute} {
		if got := s.refreshAt(tok, false, propagation, 0).Sub(issued); got != want {
			t.Errorf("propagation %v: refreshed after %v, want %v", propagation, got, want)
		}
	}
	spec := &Spec{Sinks: []SinkSpec{{Propagation: time.Second}, {Propagation: time.Minute}, {}}}
	if got := spec.propagation(); got != time.Minute {
		t.Errorf("the slowest sink takes %v", got)
	}
}

// busySink answers as a server that asks for a pause.
type busySink struct{ wait time.Duration }

func (b busySink) Error() string             { return "too many requests" }
func (b busySink) RetryAfter() time.Duration { return b.wait }

func TestSinkRetryAfterIsObeyed(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		sink := &slot{fail: func(n int) error {
			if n <= 2 {
				return fmt.Errorf("writing: %w", busySink{7 * time.Second})
			}
			return nil
		}}
		g.apply(g.spec("one", &server{lifetime: time.Hour}, sink))
		pass(time.Minute)
		tries := sink.tries()
		if len(tries) != 3 || tries[1].Sub(tries[0]) < 7*time.Second || tries[2].Sub(tries[1]) < 7*time.Second {
			t.Errorf("tries at %v", tries)
		}
	})
}

// stuck is a sink whose Check does not return.
type stuck struct {
	slot
	free chan struct{}
}

func (s *stuck) Check(context.Context) error { <-s.free; return nil }

func TestSinkThatIsSlowToAnswerDoesNotHoldUpTheStart(t *testing.T) {
	bubble(t, func(t *testing.T, g *rig) {
		s := &stuck{free: make(chan struct{})}
		defer close(s.free)
		other := &slot{}
		began := time.Now()
		g.apply(g.spec("hung", &server{lifetime: time.Hour}, s), g.spec("fine", &server{lifetime: time.Hour}, other))
		if took := time.Since(began); took > proveFor {
			t.Errorf("the start took %v", took)
		}
		pass(time.Second)
		if other.current().Generation != 1 {
			t.Error("the other token was not delivered")
		}
	})
}

// Of replicas that end together, the last takes over the shards of the others.
func TestReplicaThatEndsTakesUpNothingAndIsSettledAtOnce(t *testing.T) {
	replicas(t, func(t *testing.T, a, b *replica, spec func(string, Source, ...Sink) *Spec) {
		mine, theirs := &server{lifetime: time.Hour}, &server{lifetime: time.Hour}
		all := []*Spec{spec("one", mine, &slot{}), spec("two", theirs, &slot{})}
		a.apply(t, all...)
		b.apply(t, all...)
		a.give(t, "one")
		b.give(t, "two")
		pass(time.Minute)
		b.end()
		b.give(t)
		a.end()
		a.give(t, "one", "two")
		if s := states(a.r); s["one"] != token.StateFresh || s["two"] != token.StateStandby {
			t.Errorf("after its end it has %v", s)
		}
		a.give(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := a.r.Settle(ctx); err != nil {
			t.Errorf("Settle: %v", err)
		}
	})
}
