package vault_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	testbed "github.com/tokend-project/tokend/test/testbed/vault"
)

// each runs a test on both versions of KV.
func each(t *testing.T, test func(t *testing.T, p *place)) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("KV version %d", version), func(t *testing.T) {
			t.Parallel()
			test(t, newPlace(t, server, version))
		})
	}
}

func TestEveryRefreshIsOneRequest(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		for g := uint64(1); g <= 10; g++ {
			write(t, s, young(g), true)
		}
		if puts, gets := p.requests(t, http.MethodPut), p.requests(t, http.MethodGet); puts != 10 || gets != 0 {
			t.Errorf("10 generations took %d writes and %d reads, the first one included; want 10 and 0", puts, gets)
		}
		p.holds(t, 10)
	})
}

func TestARestartReadsOnceAndWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		write(t, p.sink(t, sink.Options{}), sinktest.Token(1), true)
		puts, gets := p.requests(t, http.MethodPut), p.requests(t, http.MethodGet)
		write(t, p.sink(t, sink.Options{}), sinktest.Token(1), false)
		puts, gets = p.requests(t, http.MethodPut)-puts, p.requests(t, http.MethodGet)-gets
		if puts != 0 || gets != 1 {
			t.Errorf("after a restart: %d writes and %d reads, want 0 and 1", puts, gets)
		}
	})
}

func TestALostAnswerIsLookedForAndNotWrittenTwice(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		p.server.LoseAnswers(t, "PUT /v1/"+p.mount, 1)
		before := p.requests(t, http.MethodPut)
		write(t, s, young(2), true)
		if n := p.requests(t, http.MethodPut) - before; n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
		p.holds(t, 2)
		write(t, s, young(3), true)
		p.holds(t, 3)
	})
}

func TestALostRequestIsAnErrorAndTheNextWriteSucceeds(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		p.server.LoseRequests(t, "PUT /v1/"+p.mount, 1)
		if _, err := s.Write(t.Context(), young(2)); !errors.Is(err, vault.ErrAmbiguous) {
			t.Fatalf("a lost request: %v", err)
		}
		p.holds(t, 1)
		write(t, s, young(2), true)
		p.holds(t, 2)
	})
}

func TestALostAnswerThatCannotBeLookedForIsFoundByTheNextWrite(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		p.server.LoseAnswers(t, "PUT /v1/"+p.mount, 1)
		p.server.LoseRequests(t, "GET /v1/"+p.mount, 1)
		if _, err := s.Write(t.Context(), young(2)); !errors.Is(err, vault.ErrAmbiguous) {
			t.Fatalf("a lost answer: %v", err)
		}
		before := p.requests(t, http.MethodPut)
		write(t, s, young(2), true) // changed, although it was the call before that did it
		if n := p.requests(t, http.MethodPut) - before; n != 0 {
			t.Errorf("the content was written %d times more", n)
		}
	})
}

func TestAForeignWriteIsReplacedByTheNextGeneration(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		p.put(t, map[string]any{"token": "another's", "note": 7})
		write(t, s, young(2), true)
		p.holds(t, 2)
		if len(p.data(t)) != 1 {
			t.Errorf("a foreign key survived: %v", p.data(t))
		}
	})
}

func TestWhatAnotherReplicaHasWrittenAlreadyIsUnchanged(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		one, other := p.sink(t, sink.Options{}), p.sink(t, sink.Options{})
		write(t, one, sinktest.Token(1), true)
		write(t, other, sinktest.Token(1), false)
		write(t, other, sinktest.Token(2), true)
		if p.version == 2 {
			write(t, one, sinktest.Token(2), false)
		}
		p.holds(t, 2)
	})
}

// A replica that slept through the loss of its lease wakes in the middle of a
// write, when its successor has written already.
func TestASleeperDoesNotPutAnOldGenerationBack(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	wake := make(chan bool, 2)
	sleeper := p.sink(t, sink.Options{Owns: func() bool { return <-wake }})
	wake <- true
	write(t, sleeper, young(1), true)
	successor := p.sink(t, sink.Options{})
	write(t, successor, young(3), true)
	for what, answers := range map[string][]bool{
		"a refresh, asleep after it was asked": {true, false},
		"a refresh, asleep before":             {false},
	} {
		for _, yes := range answers {
			wake <- yes
		}
		if _, err := sleeper.Write(t.Context(), young(2)); !errors.Is(err, token.ErrFenced) {
			t.Errorf("%s: %v, want ErrFenced", what, err)
		}
		p.holds(t, 3)
		if len(wake) != 0 {
			t.Fatalf("%s: it was not asked again", what)
		}
	}
	wake <- false
	if _, err := sleeper.Write(t.Context(), sinktest.Token(1)); !errors.Is(err, token.ErrFenced) {
		t.Errorf("a repair: %v, want ErrFenced", err)
	}
	p.holds(t, 3)
}

func TestWritersWhoFightEndWithOneWholeContent(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	var all sync.WaitGroup
	changes := make(chan int, 2)
	for range 2 {
		s := p.sink(t, sink.Options{})
		all.Go(func() {
			changed := 0
			for g := uint64(1); g <= 15; g++ {
				did, err := s.Write(t.Context(), young(g))
				if err != nil && !strings.Contains(err.Error(), "somebody else writes") {
					t.Error(err)
				}
				if did {
					changed++
				}
			}
			changes <- changed
		})
	}
	all.Wait()
	total := <-changes + <-changes
	if got := p.about(t)["current_version"]; got != float64(total) {
		t.Errorf("%v versions were made, the writers know of %d", got, total)
	}
	p.holds(t, 15)
}

func TestAWriteThatHasBegunGoesOnAfterItsCallerLeft(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	s := p.sink(t, sink.Options{Owns: func() bool { return true }})
	write(t, s, young(1), true)
	ctx, cancel := context.WithCancel(t.Context())
	leaving := p.sink(t, sink.Options{Owns: func() bool { cancel(); return true }})
	if changed, err := leaving.Write(ctx, young(2)); !changed || err != nil {
		if !errors.Is(err, context.Canceled) { // only the look at a foreign content may give up
			t.Fatalf("Write = %v, %v", changed, err)
		}
	}
}

// A fleet is checked all at once, before its first logins.
func TestOneEntrySpeaksForItsFolderAndADenialForItself(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testbed.Own(t, testbed.Options{}), 2)
	p.server.SetPolicy(t, p.policy, rule(p.mount+"/data/fleet/*", `"create", "update", "read"`))
	m := sink.NewMonitor(0)
	asked := func() int { return p.server.Count(t, "PUT /v1/sys/capabilities-self") }
	check := func(path string) error {
		s, err := sink.New(sink.Options{KV: p.kv, Path: path, Data: formats(t, map[string]string{"k": "v"}), Monitor: m})
		must(t, err)
		return s.Check(t.Context())
	}
	before := asked()
	for i := range 50 {
		must(t, check(fmt.Sprintf("fleet/%d", i)))
	}
	if n := asked() - before; n != 1 {
		t.Errorf("%d questions about one folder, want 1", n)
	}
	for range 2 {
		if err := check("elsewhere/1"); !errors.Is(err, vault.ErrDenied) {
			t.Errorf("Check of another folder: %v", err)
		}
	}
}

func TestTextAlone(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	s := p.sink(t, sink.Options{Data: formats(t, map[string]string{"raw": "{{ .AccessToken }}", "coded": "{{ base64 .AccessToken }}"})})
	odd := young(1)
	odd.AccessToken = token.NewSecret("canary \xff")
	if _, err := s.Write(t.Context(), odd); err == nil || !strings.Contains(err.Error(), "base64") || strings.Contains(err.Error(), "canary") {
		t.Errorf("a token that is no text: %v", err)
	}
	write(t, p.sink(t, sink.Options{Data: formats(t, map[string]string{"coded": "{{ base64 .AccessToken }}"})}), odd, true)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	good := func() sink.Options {
		return sink.Options{KV: &vault.KV{}, Path: "a/b", Data: formats(t, map[string]string{"k": "v"})}
	}
	for name, change := range map[string]func(*sink.Options){
		"no mount":              func(o *sink.Options) { o.KV = nil },
		"no path":               func(o *sink.Options) { o.Path = "" },
		"a slash at the end":    func(o *sink.Options) { o.Path = "a/" },
		"two slashes":           func(o *sink.Options) { o.Path = "a//b" },
		"no data":               func(o *sink.Options) { o.Data = nil },
		"an empty key":          func(o *sink.Options) { o.Data = formats(t, map[string]string{"": "v"}) },
		"negative max_versions": func(o *sink.Options) { o.MaxVersions = -1 },
		"a long metadata key":   func(o *sink.Options) { o.Metadata = formats(t, map[string]string{strings.Repeat("k", 129): "v"}) },
	} {
		o := good()
		change(&o)
		if _, err := sink.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := sink.New(good()); err != nil {
		t.Error(err)
	}
}
