package vault_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	testbed "github.com/tokend-project/tokend/test/testbed/vault"
)

func TestWhatAPersonDeletedComesBack(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(t *testing.T, p *place){
		"soft-deleted": func(t *testing.T, p *place) {
			p.server.Do(t, http.MethodDelete, p.mount+"/data/"+entry, nil)
		},
		"destroyed": func(t *testing.T, p *place) {
			p.server.Do(t, http.MethodPut, p.mount+"/destroy/"+entry, map[string]any{"versions": []int{1}})
		},
		"deleted with its metadata": func(t *testing.T, p *place) {
			p.server.Do(t, http.MethodDelete, p.mount+"/metadata/"+entry, nil)
		},
		"rolled back to an older version": func(t *testing.T, p *place) {
			p.put(t, map[string]any{"token": "older"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, next := range []uint64{1, 2} { // put back, and refreshed before anybody noticed
				p := newPlace(t, server, 2)
				s := p.sink(t, sink.Options{})
				write(t, s, sinktest.Token(1), true)
				remove(t, p)
				write(t, s, sinktest.Token(next), true)
				p.holds(t, next)
			}
		})
	}
}

func TestAWithdrawnPermissionIsNamedAndItsReturnIsEnough(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		mend := p.forbid(t)
		for name, err := range map[string]error{"Write": failure(t, s, 2), "Check": s.Check(t.Context())} {
			if !errors.Is(err, vault.ErrDenied) || !strings.Contains(err.Error(), p.mount+"/"+p.path) || !strings.Contains(err.Error(), `"update"`) {
				t.Errorf("%s: %v, want an error that names path and capability", name, err)
			}
		}
		mend()
		converges(t, s, 2)
		p.holds(t, 2)
	})
}

func TestAMountThatWasRemovedAndMountedAnew(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		p.server.Unmount(t, p.mount)
		if err := failure(t, s, 2); !errors.Is(err, vault.ErrNoMount) {
			t.Errorf("Write: %v, want ErrNoMount", err)
		}
		if err := s.Remove(t.Context()); err != nil {
			t.Errorf("Remove from a mount that is gone: %v", err)
		}
		p.server.MountAt(t, p.mount, p.version)
		converges(t, s, 2)
		p.holds(t, 2)
	})
}

func TestAQuotaSaysWhenToComeBack(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{})
		write(t, s, young(1), true)
		remove := p.server.Quota(t, p.mount, 1)
		var err error
		for g := uint64(2); err == nil; g++ {
			_, err = s.Write(t.Context(), young(g))
		}
		asked, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err)
		if !errors.Is(err, vault.ErrThrottled) || !ok || asked.RetryAfter() <= 0 {
			t.Errorf("Write: %v, want ErrThrottled with a time to wait", err)
		}
		remove()
		converges(t, s, 1000)
	})
}

func TestAKilledAndASealedServer(t *testing.T) {
	t.Parallel()
	own := testbed.Own(t, testbed.Options{})
	two, one := newPlace(t, own, 2), newPlace(t, own, 1)
	a, b := two.sink(t, sink.Options{}), one.sink(t, sink.Options{})
	write(t, a, young(1), true)
	write(t, b, young(1), true)

	own.Kill()
	for _, s := range []*sink.Sink{a, b} {
		if failure(t, s, 2) == nil {
			t.Error("a write to a dead server succeeded")
		}
	}
	must(t, own.RestartSealed(t.Context()))
	for _, s := range []*sink.Sink{a, b} {
		if err := failure(t, s, 2); !errors.Is(err, vault.ErrSealed) {
			t.Errorf("Write: %v, want ErrSealed", err)
		}
	}
	must(t, own.Unseal(t.Context()))
	converges(t, a, 2)
	converges(t, b, 2)
	if got := two.about(t)["current_version"]; got != float64(2) {
		t.Errorf("2 generations made %v versions", got)
	}
	must(t, own.Seal(t.Context()))
	if err := failure(t, a, 3); !errors.Is(err, vault.ErrSealed) {
		t.Errorf("Write: %v, want ErrSealed", err)
	}
	must(t, own.Unseal(t.Context()))
	converges(t, a, 3)
	two.holds(t, 3)
}

func TestAServerThatHangsCostsOneTimeoutAndNoSecondWrite(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testbed.Own(t, testbed.Options{}), 2)
	impatient, err := vault.New(vault.Options{
		Address: p.server.Address, TLS: vault.TLS{CAFile: p.server.CAFile}, Timeout: 500 * time.Millisecond,
		Auth: vault.Auth{Method: "token", Token: token.NewSecret(p.token)},
	})
	must(t, err)
	t.Cleanup(impatient.Close)
	s := p.sink(t, sink.Options{KV: impatient.KV(p.mount, 2)})
	write(t, s, young(1), true)
	before := p.requests(t, http.MethodGet)
	release := p.server.HoldAnswers(t, "PUT /v1/"+p.mount, 1)
	if err := failure(t, s, 2); !errors.Is(err, vault.ErrAmbiguous) {
		t.Errorf("Write: %v, want ErrAmbiguous", err)
	}
	if n := p.requests(t, http.MethodGet) - before; n != 0 {
		t.Errorf("%d looks at a server that hangs", n)
	}
	release()
	write(t, s, young(2), true)
	if got := p.about(t)["current_version"]; got != float64(2) {
		t.Errorf("2 generations made %v versions", got)
	}
}

func TestAnEntryThatIsTooLargeIsRefusedInPlainWords(t *testing.T) {
	t.Parallel()
	p := newPlace(t, testbed.Own(t, testbed.Options{Storage: "raft"}), 2)
	s := p.sink(t, sink.Options{Data: formats(t, map[string]string{
		"a": `{{ printf "%1040000s" .AccessToken }}`, "b": `{{ printf "%1040000s" .AccessToken }}`,
	})})
	if err := failure(t, s, 1); !errors.Is(err, vault.ErrInvalid) || !strings.Contains(err.Error(), "1 MiB") {
		t.Errorf("Write: %.300v, want one that names the limit", err)
	}
}

func failure(t *testing.T, s *sink.Sink, generation uint64) error {
	t.Helper()
	changed, err := s.Write(t.Context(), young(generation))
	if changed {
		t.Errorf("Write of generation %d changed something: %v", generation, err)
	}
	return err
}

// converges tries as delivery would. The client takes a moment to trust a server
// again that refused its token.
func converges(t *testing.T, s *sink.Sink, generation uint64) {
	t.Helper()
	tok := young(generation)
	for deadline := time.Now().Add(sinktest.Patience); ; time.Sleep(20 * time.Millisecond) {
		_, err := s.Write(t.Context(), tok)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it never converged: %v", err)
		}
	}
}
