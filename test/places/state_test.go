package places

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

func kubernetesState() string {
	return fmt.Sprintf("\nstate \"kubernetes_secret\" {\n  key = %q\n}\n", stateKey)
}

func (s *store) state() string {
	return fmt.Sprintf("\nstate \"vault_kv\" {\n  mount = %q\n  path  = \"tokend/state\"\n  key   = %q\n}\n", s.mount, stateKey)
}

// remember is a daemon whose records are in one of the places, and whose token is
// in a file.
func remember(t *testing.T, where string, lifetime time.Duration) *portal {
	t.Helper()
	p := newPortal(t, lifetime)
	var state string
	switch where {
	case "kubernetes":
		p.inCluster(newCluster(t, beds.cluster))
		state = kubernetesState()
	case "vault":
		p.inVault(newStore(t, beds.vault))
		state = p.store.state()
	}
	p.configure(t, state+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), fileSink))
	return p
}

// inBoth runs a test for the records in each of the two places.
func inBoth(t *testing.T, test func(t *testing.T, where string)) {
	t.Helper()
	for _, where := range []string{"kubernetes", "vault"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			test(t, where)
		})
	}
}

func TestRemoteStateLetsARestartMakeNoTokenRequest(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := remember(t, where, long)
		p.begin(t)
		for _, end := range []func(){func() { p.Stop(t) }, func() { p.Kill() }, func() { p.Kill() }} {
			end()
			must(t, removeFile(p))
			p.begin(t)
		}
		p.requests(t, 1)
		p.refresh(t) // and what was stored is good
		p.Kill()
		p.begin(t)
		p.requests(t, 2)
		if p.server.Count(strict.Login) != 1 {
			t.Error("a restart cost a login")
		}
		p.Stop(t)
	})
}

// The answer is on its way when the daemon dies: the server has rotated, and only
// the intent in the state tells the next start that the refresh token may be spent.
func TestRemoteStateTellsAfterAKillThatARefreshTokenMayBeSpent(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := remember(t, where, long)
		p.begin(t)
		committed, release := p.holdAnswers(t)
		go func() { _, _ = p.Command(t, "refresh", "portal") }() // the daemon dies under it
		<-committed
		p.Kill()
		release()
		p.server.Settle(t)
		p.begin(t)
		if n := p.server.Count(strict.Reuse); n > 0 {
			t.Errorf("the spent refresh token was presented %d times", n)
		}
		if n := p.server.Count(strict.Login); n != 2 {
			t.Errorf("%d logins, want the first and one after the kill", n)
		}
		p.Stop(t)
	})
}

// holdAnswers makes the server keep its next answer back after it has committed.
func (p *portal) holdAnswers(t *testing.T) (committed chan struct{}, release func()) {
	t.Helper()
	committed, held := make(chan struct{}), make(chan struct{})
	first := true
	p.server.Lock()
	defer p.server.Unlock()
	p.server.Pace = func(done bool) {
		p.server.Lock()
		mine := done && first
		first = first && !mine
		p.server.Unlock()
		if mine {
			close(committed)
			<-held
		}
	}
	let := false
	release = func() {
		if !let {
			let = true
			close(held)
		}
	}
	t.Cleanup(release)
	return committed, release
}

// outages take the state away, and give it back.
func outages(t *testing.T, p *portal) (begin, end func()) {
	t.Helper()
	if p.cluster != nil {
		return func() { p.cluster.grant(t, verbs("get", "list", "watch")) }, func() { p.cluster.grant(t, everything()) }
	}
	return func() { p.store.SetPolicy(t, p.store.policy, readOnly(p.store.mount)) },
		func() { p.store.SetPolicy(t, p.store.policy, p.store.rules()) }
}

func readOnly(mount string) string {
	return fmt.Sprintf("path \"%s/*\" { capabilities = [\"read\", \"list\"] }", mount)
}

func TestRemoteStateThatTakesNoIntentLetsNoRefreshTokenBeSpent(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := remember(t, where, 20*time.Second)
		p.begin(t)
		begin, end := outages(t, p)
		begin()
		if out, err := p.Command(t, "refresh", "portal"); err == nil {
			t.Errorf("a refresh succeeded without a state: %s", out)
		}
		p.Until(t, 20*time.Second, "portal", "says what is wrong with the state", func(s token.Status) bool {
			return s.LastError != nil && strings.Contains(s.LastError.Message, "state")
		})
		// Over the planned refresh, too, nothing is sent.
		time.Sleep(time.Until(p.Status(t).Of("portal").IssuedAt.Add(11 * time.Second)))
		p.requests(t, 1)
		end()
		p.UntilGeneration(t, convergeWithin, "portal", 2)
		p.untilEverywhere(t, time.Second)
		if n := p.server.Count(strict.Login); n != 1 {
			t.Errorf("%d logins: the outage cost the family", n)
		}
		p.Stop(t)
	})
}

// Two daemons on one state without an ha block are a mistake, which must not cost
// the family: the records' fence lets one of them spend each refresh token.
func TestRemoteStateThatTwoDaemonsShareByMistakeSpendsNoRefreshTokenTwice(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		first := remember(t, where, 4*time.Second)
		second := &portal{Daemon: tokend.New(t, beds.tokend), server: first.server, cluster: first.cluster, store: first.store, secrets: first.secrets}
		t.Cleanup(func() { second.judge(t) })
		second.configure(t, first.hcl)
		first.begin(t)
		second.begin(t)
		for range 4 {
			for _, p := range []*portal{first, second} {
				go func() { _, _ = p.Command(t, "refresh", "portal") }() // one of them may be fenced
			}
			time.Sleep(1500 * time.Millisecond) // beside their own refreshes, in half of a lifetime
		}
		if n := first.server.Count(strict.Refresh); n < 4 {
			t.Errorf("%d refreshes: this proves nothing", n)
		}
		if n := first.server.Count(strict.Login); n != 1 {
			t.Errorf("%d logins, want one", n)
		}
		tokend.Await(t, 10*time.Second, "either daemon has a live token", func() bool {
			return first.server.Alive(first.Content("portal")) || first.server.Alive(second.Content("portal"))
		})
		first.Stop(t)
		second.Stop(t)
	})
}
