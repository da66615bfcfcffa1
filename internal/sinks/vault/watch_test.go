package vault_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks/sinktest"
	sink "github.com/tokend-project/tokend/internal/sinks/vault"
	testbed "github.com/tokend-project/tokend/test/testbed/vault"
)

func notices(t *testing.T, s *sink.Sink) <-chan struct{} {
	t.Helper()
	seen := make(chan struct{}, 1)
	stop, err := s.Watch(func() {
		select {
		case seen <- struct{}{}:
		default:
		}
	})
	must(t, err)
	t.Cleanup(stop)
	return seen
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(sinktest.Patience):
		t.Fatalf("no drift was reported after %s", what)
	}
}

func TestDriftIsFoundWithoutPermissionToReadMetadata(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	p.server.SetPolicy(t, p.policy, rule(p.mount+"/data/"+entry, `"create", "update", "read"`))
	s := p.sink(t, sink.Options{Monitor: run(t, sink.NewMonitor(50)), CheckEvery: 100 * time.Millisecond})
	seen := notices(t, s)
	write(t, s, young(1), true)
	p.server.Do(t, http.MethodDelete, p.mount+"/data/"+entry, nil)
	await(t, seen, "a soft delete")
}

func TestDriftIsFoundWhenTheMountIsGone(t *testing.T) {
	each(t, func(t *testing.T, p *place) {
		s := p.sink(t, sink.Options{Monitor: run(t, sink.NewMonitor(50)), CheckEvery: 100 * time.Millisecond})
		seen := notices(t, s)
		write(t, s, young(1), true)
		p.server.Unmount(t, p.mount)
		await(t, seen, "the mount was removed")
	})
}

func TestDriftOfMetadataIsFoundAndForeignKeysAreLearnt(t *testing.T) {
	t.Parallel()
	p := newPlace(t, server, 2)
	o := labels(t)
	o.Monitor, o.CheckEvery = run(t, sink.NewMonitor(50)), 100*time.Millisecond
	s := p.sink(t, o)
	seen := notices(t, s)
	tok := young(1)
	write(t, s, tok, true)
	p.server.Do(t, http.MethodPost, p.mount+"/metadata/"+entry, map[string]any{
		"custom_metadata": map[string]string{"generation": "wrong", "team": "shop"},
	})
	await(t, seen, "metadata was changed")
	write(t, s, tok, true)
	custom, _ := p.about(t)["custom_metadata"].(map[string]any)
	if custom["generation"] != "1" || custom["team"] != "shop" {
		t.Errorf("custom metadata after the repair: %v", custom)
	}
}

func TestDriftIsFoundAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	own := testbed.Own(t, testbed.Options{})
	p := newPlace(t, own, 2)
	s := p.sink(t, sink.Options{Monitor: run(t, sink.NewMonitor(50)), CheckEvery: 100 * time.Millisecond})
	seen := notices(t, s)
	write(t, s, young(1), true)
	must(t, own.RestartSealed(t.Context()))
	atLeast(t, p, "GET /v1/"+p.mount, 2) // it looks, and is told that the server is sealed
	must(t, own.Unseal(t.Context()))
	p.put(t, map[string]any{"token": "another's"})
	await(t, seen, "the server had been away")
}

// A look that began before a write and reaches the server after it sees a version
// that it does not expect.
func TestALookThatAWriteOvertakesIsNoDrift(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprintf("KV version %d", version), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, testbed.Own(t, testbed.Options{}), version) // a release lets all go that is held
			s := p.sink(t, sink.Options{Monitor: run(t, sink.NewMonitor(50)), CheckEvery: 100 * time.Millisecond})
			seen := notices(t, s)
			look := "GET /v1/" + p.mount + "/metadata/" + entry
			if version == 1 {
				look = "GET /v1/" + p.mount + "/" + entry
			}
			for _, hold := range []func(testing.TB, string, int) func(){p.server.HoldRequests, p.server.HoldAnswers} {
				write(t, s, young(1), true)
				before := p.server.Count(t, look)
				release := hold(t, look, 1)
				atLeast(t, p, look, before+1)
				write(t, s, young(2), true)
				release()
				atLeast(t, p, look, before+3) // by now the one that was held has been judged
			}
			select {
			case <-seen:
				t.Error("an own write was reported as drift")
			default:
			}
		})
	}
}

func atLeast(t *testing.T, p *place, what string, count int) {
	t.Helper()
	for p.server.Count(t, what) < count {
		time.Sleep(5 * time.Millisecond)
	}
}
