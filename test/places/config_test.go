package places

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// secretPlace is where a test keeps what the configuration reads.
type secretPlace struct {
	*portal
	t *testing.T
}

const loginSecret = "login"

// expression reads a field of the place in HCL.
func (p secretPlace) expression(field string) string {
	if p.cluster != nil {
		return fmt.Sprintf("kubernetes_secret(%q, %q)", p.cluster.namespace+"/"+loginSecret, field)
	}
	return fmt.Sprintf("vault(%q, %q)", p.store.mount+"/"+loginSecret, field)
}

func (p secretPlace) put(fields map[string]string) {
	p.t.Helper()
	if p.cluster != nil {
		p.cluster.put(p.t, loginSecret, fields)
	} else {
		p.store.put(p.t, loginSecret, fields)
	}
}

// changed has the daemon take a change up: Kubernetes tells it, and Vault tells
// nobody, so that a person sends a SIGHUP who does not want to wait for a minute.
func (p secretPlace) changed() {
	p.t.Helper()
	if p.cluster == nil {
		p.Signal(p.t, syscall.SIGHUP)
	}
}

// readingFrom is a daemon whose client secret and password are in one of the two
// places.
func readingFrom(t *testing.T, where string) secretPlace {
	t.Helper()
	p := secretPlace{newPortal(t, long), t}
	if where == "kubernetes" {
		p.inCluster(newCluster(t, beds.cluster))
	} else {
		p.inVault(newStore(t, beds.vault))
	}
	p.put(map[string]string{"client-secret": clientSecret, "password": password})
	p.configure(t, fileState+p.blocks(p.expression("client-secret"))+tokenBlock(p.expression("password"), fileSink))
	return p
}

// asked is how often tokend has begun to ask the place for something.
func (p secretPlace) asked() int {
	p.t.Helper()
	if p.cluster != nil {
		return p.cluster.counts(p.t)["get secrets"]
	}
	return p.store.Count(p.t, "PUT /v1/auth/"+p.store.role.Mount+"/login")
}

func (p secretPlace) loads() int { return strings.Count(string(p.Log.Bytes()), `"event":"reloaded"`) }

func TestSecretOfTheConfigurationIsRotatedThere(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := readingFrom(t, where)
		p.begin(t)
		const rotated = "the-next-client-secret"
		p.secrets = append(p.secrets, rotated)
		p.server.Lock()
		p.server.ClientSecret = rotated
		p.server.Unlock()
		p.put(map[string]string{"client-secret": rotated, "password": password})
		p.changed()
		tokend.Await(t, 5*time.Second, "the change is loaded", func() bool { return p.loads() == 1 })
		p.requests(t, 1) // a live token costs no request
		p.refresh(t)
		p.untilEverywhere(t, time.Second)
		p.requests(t, 2)
		if p.loads() != 1 {
			t.Errorf("%d reloads for one change", p.loads())
		}
		p.Stop(t)
	})
}

func TestSecretOfTheConfigurationThatIsWrongIsTriedAtOnceWhenItIsPutRight(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := readingFrom(t, where)
		p.put(map[string]string{"client-secret": "not-this-one", "password": password})
		p.Run(t)
		p.Until(t, 20*time.Second, "portal", "is refused", func(s token.Status) bool { return s.LastError != nil })
		p.put(map[string]string{"client-secret": clientSecret, "password": password})
		p.changed()
		p.UntilGeneration(t, 5*time.Second, "portal", 1)
		p.untilEverywhere(t, time.Second)
		if n := p.server.Count(strict.Client); n != 1 {
			t.Errorf("the wrong secret was shown %d times", n)
		}
		p.Stop(t)
	})
}

func TestOutageAtAReloadLeavesTheLastGoodConfigurationRunning(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := readingFrom(t, where)
		p.begin(t)
		p.withdraw()
		p.Signal(t, syscall.SIGHUP)
		tokend.Await(t, 10*time.Second, "status says what is wrong with the configuration", func() bool {
			problem := p.Status(t).Config.Error
			return problem != nil && strings.Contains(problem.Message, loginSecret)
		})
		p.refresh(t) // by the last good one
		p.untilEverywhere(t, time.Second)
		p.requests(t, 2)
		p.giveBack()
		tokend.Await(t, convergeWithin, "the configuration is loaded by itself", func() bool { return p.Status(t).Config.Error == nil })
		p.requests(t, 2)
		p.Stop(t)
	})
}

func (p secretPlace) withdraw() {
	p.t.Helper()
	if p.cluster != nil {
		p.cluster.grant(p.t)
	} else {
		p.store.SetPolicy(p.t, p.store.policy, nothing)
	}
}

func (p secretPlace) giveBack() {
	p.t.Helper()
	if p.cluster != nil {
		p.cluster.grant(p.t, everything())
	} else {
		p.store.SetPolicy(p.t, p.store.policy, p.store.rules())
	}
}

func TestOutageOfVaultAtAReloadIsOverByItself(t *testing.T) {
	t.Parallel()
	p := secretPlace{newPortal(t, long).inVault(newStore(t, ownVault(t))), t}
	p.put(map[string]string{"client-secret": clientSecret, "password": password})
	p.configure(t, fileState+p.blocks(p.expression("client-secret"))+tokenBlock(p.expression("password"), fileSink))
	p.begin(t)
	must(t, p.store.Seal(t.Context()))
	p.Signal(t, syscall.SIGHUP)
	tokend.Await(t, 10*time.Second, "status says that Vault is sealed", func() bool {
		problem := p.Status(t).Config.Error
		return problem != nil && strings.Contains(problem.Message, "sealed")
	})
	must(t, p.store.Unseal(t.Context()))
	tokend.Await(t, convergeWithin, "the configuration is loaded by itself", func() bool { return p.Status(t).Config.Error == nil })
	p.refresh(t)
	p.requests(t, 2)
	p.Stop(t)
}

// Vault tells nobody of a change, so that it is asked once a minute.
func TestSecretOfTheConfigurationInVaultIsReadAgainWithoutASignal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	p := readingFrom(t, "vault")
	p.begin(t)
	const rotated = "the-next-client-secret"
	p.secrets = append(p.secrets, rotated)
	p.put(map[string]string{"client-secret": rotated, "password": password})
	tokend.Await(t, 70*time.Second, "the change is loaded", func() bool { return p.loads() == 1 })
	p.server.Lock()
	p.server.ClientSecret = rotated
	p.server.Unlock()
	p.refresh(t)
	p.requests(t, 2)
	p.Stop(t)
}

func TestMissingFieldIsAFaultWithItsPlace(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := readingFrom(t, where)
		if _, err := p.Offline(t, "validate", "--config", p.Config()); err != nil {
			t.Errorf("validate: %v", err)
		}
		p.put(map[string]string{"password": password})
		_, err := p.Offline(t, "validate", "--config", p.Config())
		line := 1 + strings.Count(p.hcl[:strings.Index(p.hcl, "client_secret")], "\n")
		if err == nil || !strings.Contains(err.Error(), "exit status 3") {
			t.Fatalf("validate: %v", err)
		}
		for _, want := range []string{fmt.Sprintf("on %s line %d", p.Config(), line), loginSecret, `"client-secret"`} {
			if !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), want) {
				t.Errorf("the fault does not say %q: %v", want, err)
			}
		}
		if text := err.Error(); strings.Contains(text, "cannot be asked") || strings.Contains(text, "not asked for") || strings.Contains(text, password) {
			t.Errorf("one missing field is told as an outage, or with a secret: %v", err)
		}
		before := p.asked()
		if _, err := p.Offline(t, "validate", "--offline", "--config", p.Config()); err != nil {
			t.Errorf("validate --offline: %v", err)
		}
		if before == 0 || p.asked() != before {
			t.Errorf("%d requests with --offline, after %d without", p.asked()-before, before)
		}
		p.requests(t, 0)
	})
}
