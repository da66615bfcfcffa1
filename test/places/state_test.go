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
	if where == "kubernetes" {
		return rememberIn(t, newCluster(t, beds.cluster), nil, lifetime)
	}
	return rememberIn(t, nil, newStore(t, beds.vault), lifetime)
}

func rememberIn(t *testing.T, c *cluster, s *store, lifetime time.Duration) *portal {
	t.Helper()
	p := newPortal(t, lifetime)
	var state string
	if c != nil {
		p.inCluster(c)
		state = kubernetesState()
	} else {
		p.inVault(s)
		state = s.state()
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

// outage takes the place of the records away, and gives it back.
type outage struct {
	portal     func(t *testing.T) *portal
	begin, end func(t *testing.T, p *portal)
}

func outages() map[string]outage {
	inVault := func(t *testing.T) *portal { return rememberIn(t, nil, newStore(t, ownVault(t)), 20*time.Second) }
	restart := func(t *testing.T, p *portal) { must(t, p.store.Restart(t.Context())) }
	return map[string]outage{
		"kubernetes verb withdrawn": {
			portal: func(t *testing.T) *portal { return remember(t, "kubernetes", 20*time.Second) },
			begin:  func(t *testing.T, p *portal) { p.cluster.grant(t, verbs("get", "list", "watch")) },
			end:    func(t *testing.T, p *portal) { p.cluster.grant(t, everything()) },
		},
		"kubernetes killed": {
			portal: func(t *testing.T) *portal { return rememberIn(t, ownCluster(t), nil, 20*time.Second) },
			begin:  func(_ *testing.T, p *portal) { p.cluster.KillAPIServer() },
			end:    func(t *testing.T, p *portal) { must(t, p.cluster.StartAPIServer(t.Context())) },
		},
		"vault policy withdrawn": {
			portal: func(t *testing.T) *portal { return remember(t, "vault", 20*time.Second) },
			begin: func(t *testing.T, p *portal) {
				p.store.SetPolicy(t, p.store.policy, fmt.Sprintf("path \"%s/*\" { capabilities = [\"read\", \"list\"] }", p.store.mount))
			},
			end: func(t *testing.T, p *portal) { p.store.SetPolicy(t, p.store.policy, p.store.rules()) },
		},
		"vault sealed": {
			portal: inVault,
			begin:  func(t *testing.T, p *portal) { must(t, p.store.Seal(t.Context())) },
			end:    func(t *testing.T, p *portal) { must(t, p.store.Unseal(t.Context())) },
		},
		"vault killed": {portal: inVault, begin: func(_ *testing.T, p *portal) { p.store.Kill() }, end: restart},
	}
}

func TestRemoteStateThatTakesNoIntentLetsNoRefreshTokenBeSpent(t *testing.T) {
	t.Parallel()
	for name, o := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := o.portal(t)
			p.begin(t)
			o.begin(t, p)
			if out, err := p.Command(t, "refresh", "portal"); err == nil {
				t.Errorf("a refresh succeeded without a state: %s", out)
			}
			p.Until(t, 20*time.Second, "portal", "says what is wrong with the state", func(s token.Status) bool {
				return s.LastError != nil && strings.Contains(s.LastError.Message, "state")
			})
			// Over the planned refresh, too, nothing is sent.
			time.Sleep(time.Until(p.Status(t).Of("portal").IssuedAt.Add(11 * time.Second)))
			p.requests(t, 1)
			o.end(t, p)
			p.UntilGeneration(t, convergeWithin, "portal", 2)
			p.untilEverywhere(t, time.Second)
			if n := p.server.Count(strict.Login); n != 1 {
				t.Errorf("%d logins: the outage cost the family", n)
			}
			p.Stop(t)
		})
	}
}

// A write that landed although nobody heard of it must be known again, be it that
// of an intent or of an answer.
func TestRemoteStateInVaultWhoseAnswersGetLost(t *testing.T) {
	t.Parallel()
	for lost, kind := range map[int]string{1: "of the intent", 2: "of the intent and of the commit"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := remember(t, "vault", long)
			p.begin(t)
			p.refresh(t)
			p.store.LoseAnswers(t, "PUT /v1/"+p.store.mount+"/data/tokend/state/records/portal", lost)
			p.refresh(t)
			p.untilEverywhere(t, 5*time.Second)
			p.requests(t, 3)
			p.Kill()
			p.begin(t)
			p.requests(t, 3)
			p.refresh(t)
			p.untilEverywhere(t, 5*time.Second)
			p.requests(t, 4)
			p.Stop(t)
		})
	}
}

func TestRemoteStateThatIsAwayAtTheStartEndsItClearlyAndSpendsNothing(t *testing.T) {
	t.Parallel()
	p := rememberIn(t, nil, newStore(t, ownVault(t)), long)
	p.begin(t)
	p.Stop(t)
	must(t, p.store.Seal(t.Context()))
	p.Run(t)
	if code := p.Exit(t, 40*time.Second); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if said := string(p.Log.Bytes()); !strings.Contains(said, "state") || !strings.Contains(said, "sealed") {
		t.Errorf("it does not say why it ended: %s", said)
	}
	must(t, p.store.Unseal(t.Context()))
	p.begin(t)
	p.requests(t, 1)
	p.Stop(t)
}

func TestRemoteStateThatHangsAtTheStartLetsTheDaemonBeEnded(t *testing.T) {
	t.Parallel()
	p := rememberIn(t, nil, newStore(t, ownVault(t)), long)
	release := p.store.HoldRequests(t, "PUT /v1/auth/", 10)
	defer release()
	p.Run(t)
	tokend.Await(t, 10*time.Second, "the login hangs", func() bool { return p.store.Count(t, "PUT /v1/auth/"+p.store.role.Mount+"/login") > 0 })
	p.Stop(t) // which takes the timeout of a login: its token is not left behind
	p.requests(t, 0)
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
