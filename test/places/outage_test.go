package places

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokend-project/tokend/internal/token"
)

func (c *cluster) remove(t *testing.T, name string) {
	t.Helper()
	if err := c.secrets.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) patch(t *testing.T, name, patch string) {
	t.Helper()
	if _, err := c.secrets.Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// unlabel takes the label away by which tokend finds its Secrets, and the token.
func (c *cluster) unlabel(t *testing.T, name string) {
	t.Helper()
	c.patch(t, name, `{"metadata":{"labels":{"app.kubernetes.io/managed-by":null}},"data":{"token":"bm9uZQ=="}}`)
}

// convergeWithin is from when the cause is gone.
const convergeWithin = 30 * time.Second

// disturb takes a place away from a daemon that runs, has it get a new token, gives
// the place back, and fails unless everything is as promised: the other places hold
// the new token within a second, the broken one within 30 s of the end, and there
// was one token request, the one that was asked for. says is a part of the error, and
// empty for a place that does not answer at all, of which nothing is known for long.
func (p *portal) disturb(t *testing.T, kind, says string, begin, end func()) {
	t.Helper()
	before := p.server.Requests()
	begin()
	p.refresh(t)
	s := p.Until(t, 10*time.Second, "portal", "is in the other sinks", func(s token.Status) bool {
		for _, sink := range s.Sinks {
			if sink.Kind != kind && sink.Generation != s.Generation {
				return false
			}
		}
		return true
	})
	p.untilEverywhere(t, time.Second, kind)
	for _, sink := range s.Sinks {
		if late := sink.WrittenAt.Sub(s.IssuedAt); sink.Kind != kind && late > time.Second {
			t.Errorf("%s was written %v after the request", sink.Kind, late)
		}
	}
	if says != "" {
		s = p.Until(t, 20*time.Second, "portal", "says what is wrong", func(s token.Status) bool { return sinkOf(s, kind).LastError != nil })
		if problem := sinkOf(s, kind).LastError.Message; !strings.Contains(problem, says) {
			t.Errorf("the error of %s does not say %q: %s", kind, says, problem)
		}
	}
	p.showsNoSecret(t)
	if s.State != token.StateFresh {
		t.Errorf("the token is %s because of a sink", s.State)
	}
	time.Sleep(3 * time.Second) // the outage itself, long enough for retries to slow down
	end()
	over := time.Now()
	p.untilEverywhere(t, convergeWithin)
	took := time.Since(over)
	p.Until(t, 5*time.Second, "portal", "forgets the error", func(s token.Status) bool {
		return sinkOf(s, kind).LastError == nil && sinkOf(s, kind).Generation == s.Generation
	})
	p.requests(t, before+1)
	t.Logf("converged %v after the cause was gone", took.Round(10*time.Millisecond))
}

// settled is a daemon whose token is in three places.
func settled(t *testing.T, c *cluster, s *store) *portal {
	t.Helper()
	p := newPortal(t, long).inCluster(c).inVault(s)
	p.everywhere(t)
	p.begin(t)
	return p
}

func TestOutageOfVaultSealed(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, ownVault(t)))
	p.disturb(t, "vault_kv", "sealed", func() { must(t, p.store.Seal(t.Context())) }, func() { must(t, p.store.Unseal(t.Context())) })
	p.Stop(t)
}

func TestOutageOfVaultKilledAndRestarted(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, ownVault(t)))
	p.disturb(t, "vault_kv", "connect", p.store.Kill, func() { must(t, p.store.Restart(t.Context())) })
	p.Stop(t)
}

func TestOutageOfVaultPolicyWithdrawn(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.disturb(t, "vault_kv", "a policy has to say",
		func() { p.store.SetPolicy(t, p.store.policy, nothing) },
		func() { p.store.SetPolicy(t, p.store.policy, p.store.rules()) })
	p.Stop(t)
}

func TestOutageOfVaultLoginsRevoked(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.store.RevokeLogins(t, p.store.role.Mount)
	p.refresh(t)
	p.untilEverywhere(t, 5*time.Second)
	p.requests(t, 2)
	p.Stop(t)
}

func TestOutageOfVaultMountRemovedAndMountedAgain(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.disturb(t, "vault_kv", "mount", func() { p.store.Unmount(t, p.store.mount) }, func() { p.store.MountAt(t, p.store.mount, 2) })
	p.Stop(t)
}

func TestOutageOfVaultMountRemovedAndMountedAgainAsVersion1(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.store.SetPolicy(t, p.store.policy, p.store.rules()+fmt.Sprintf("path %q { capabilities = [\"create\", \"update\", \"read\"] }", p.store.mount+"/apps/*"))
	p.store.Unmount(t, p.store.mount)
	p.store.MountAt(t, p.store.mount, 1)
	over := time.Now()
	for {
		answer, err := p.store.Call(t.Context(), http.MethodGet, p.store.mount+"/apps/portal", nil)
		if err == nil && answer["token"] == p.current() {
			break
		}
		if time.Since(over) > convergeWithin {
			t.Fatalf("not there after %v: %v", convergeWithin, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	p.requests(t, 1)
	p.Stop(t)
}

func TestOutageOfKubernetesVerbWithdrawn(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.disturb(t, "kubernetes_secret", "patch",
		func() { p.cluster.grant(t, verbs("get", "list", "watch")) }, func() { p.cluster.grant(t, everything()) })
	p.Stop(t)
}

func TestOutageOfKubernetesAllVerbsWithdrawn(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.disturb(t, "kubernetes_secret", "Role", func() { p.cluster.grant(t) }, func() { p.cluster.grant(t, everything()) })
	p.Stop(t)
}

func TestOutageOfKubernetesSecretMadeImmutableUntilAPersonDeletesIt(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.disturb(t, "kubernetes_secret", "immutable",
		func() { p.cluster.patch(t, "portal", `{"immutable":true}`) }, func() { p.cluster.remove(t, "portal") })
	if p.cluster.secret("portal").Immutable != nil {
		t.Error("the new Secret is immutable too")
	}
	p.Stop(t)
}

func TestOutageOfKubernetesSecretOfAnotherTypeUntilAPersonDeletesIt(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.disturb(t, "kubernetes_secret", "type", func() {
		p.cluster.remove(t, "portal")
		taken := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "portal"}, Type: "example.org/other"}
		for { // tokend puts a deleted Secret back at once
			if _, err := p.cluster.secrets.Create(t.Context(), taken, metav1.CreateOptions{}); err == nil {
				return
			}
			_ = p.cluster.secrets.Delete(t.Context(), "portal", metav1.DeleteOptions{})
		}
	}, func() { p.cluster.remove(t, "portal") })
	p.Stop(t)
}

func TestOutageOfKubernetesAPIServerKilledAndPaused(t *testing.T) {
	t.Parallel()
	p := settled(t, ownCluster(t), newStore(t, beds.vault))
	p.disturb(t, "kubernetes_secret", "connect", p.cluster.KillAPIServer,
		func() { must(t, p.cluster.StartAPIServer(t.Context())) })
	p.disturb(t, "kubernetes_secret", "", func() { must(t, p.cluster.PauseAPIServer()) },
		func() { must(t, p.cluster.ResumeAPIServer()) })
	p.cluster.put(t, "portal", map[string]string{"token": "wrong"}) // the watch is back too
	p.untilEverywhere(t, 10*time.Second)
	p.Stop(t)
}

// What was committed and could not be delivered is delivered by the next start.
func TestOutageThatTheDaemonDoesNotOutlive(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	p.cluster.grant(t)
	p.store.SetPolicy(t, p.store.policy, nothing)
	p.refresh(t)
	p.untilEverywhere(t, 5*time.Second, "kubernetes_secret", "vault_kv")
	p.Kill()
	p.Run(t) // starts without them
	p.UntilGeneration(t, 10*time.Second, "portal", 2)
	p.cluster.grant(t, everything())
	p.store.SetPolicy(t, p.store.policy, p.store.rules())
	p.untilEverywhere(t, convergeWithin)
	p.requests(t, 2)
	p.Stop(t)
}

func TestOutageOfBothPlacesAtTheFirstStart(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(ownCluster(t)).inVault(newStore(t, ownVault(t)))
	p.everywhere(t)
	p.cluster.KillAPIServer()
	p.store.Kill()
	began := time.Now()
	p.Run(t)
	p.untilEverywhere(t, 20*time.Second, "kubernetes_secret", "vault_kv")
	t.Logf("the file is there %v after the start", time.Since(began).Round(10*time.Millisecond))
	must(t, p.cluster.StartAPIServer(t.Context()))
	must(t, p.store.Restart(t.Context()))
	p.untilEverywhere(t, convergeWithin)
	p.requests(t, 1)
	p.Stop(t)
}
