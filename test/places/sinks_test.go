package places

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// less is what was added to counts since before.
func less(now, before map[string]int) map[string]int {
	added := map[string]int{}
	for what, n := range now {
		if n -= before[what]; n != 0 {
			added[what] = n
		}
	}
	return added
}

func TestThreeSinksHoldOneGenerationForOneRequestEach(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(newCluster(t, beds.cluster)).inVault(newStore(t, beds.vault))
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), fileSink, secretSink, p.store.rareSink()))
	p.begin(t)
	kube, writes := p.cluster.counts(t), p.store.writes(t, "apps/portal")
	const rounds = 5
	for i := range rounds {
		p.refresh(t)
		generation := uint64(i + 2)
		s := p.UntilGeneration(t, 5*time.Second, "portal", generation)
		p.untilEverywhere(t, 5*time.Second)
		p.requests(t, i+2)
		for kind := range p.places() {
			if held := sinkOf(s, kind).Generation; held > generation {
				t.Errorf("%s is said to hold generation %d of %d", kind, held, generation)
			}
		}
	}
	if added := less(p.cluster.counts(t), kube); !maps.Equal(added, map[string]int{"patch secrets": rounds}) {
		t.Errorf("%d generations cost the API server %v", rounds, added)
	}
	if added := p.store.writes(t, "apps/portal") - writes; added != rounds {
		t.Errorf("%d generations cost Vault %d writes", rounds, added)
	}
	kube, writes = p.cluster.counts(t), p.store.writes(t, "apps/portal")
	loaded := p.Status(t).Config.LoadedAt
	p.Signal(t, syscall.SIGHUP)
	tokend.Await(t, 10*time.Second, "the same configuration is loaded", func() bool { return p.Status(t).Config.LoadedAt.After(loaded) })
	if added := less(p.cluster.counts(t), kube); len(added) > 0 || p.store.writes(t, "apps/portal") != writes {
		t.Errorf("a reload that changes nothing cost the API server %v", added)
	}
	if reads := p.store.Count(t, "GET /v1/"+p.store.mount+"/metadata"); reads > 1 {
		t.Errorf("the entry's version was asked for %d times within a minute", reads)
	}
	p.Stop(t)
}

// rareSink is sink without looks at what is there.
func (s *store) rareSink() string {
	return fmt.Sprintf(`
  sink "vault_kv" {
    mount = %q
    path  = "apps/portal"
    data  = { token = "{{ .AccessToken }}" }
  }
`, s.mount)
}

func TestSecretHasSeveralKeysFormatsLabelsAndAnnotationsAndKeepsForeignOnes(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(newCluster(t, beds.cluster))
	p.cluster.put(t, "portal", map[string]string{"foreign": "kept"})
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), fileSink, `
  sink "kubernetes_secret" {
    kubernetes  = "main"
    name        = "portal"
    data        = { token = "{{ .AccessToken }}", "portal.conf" = "bearer={{ .AccessToken }}" }
    formats     = { header = "header", "token.json" = "json", env = "env" }
    variable    = "PORTAL"
    labels      = { team = "shop" }
    annotations = { "example.org/reload" = "yes" }
  }
`))
	p.begin(t)
	s, now := p.cluster.secret("portal"), p.current()
	for key, want := range map[string]string{
		"token": now, "portal.conf": "bearer=" + now, "header": "Authorization: Bearer " + now + "\n", "foreign": "kept",
	} {
		if got := string(s.Data[key]); got != want {
			t.Errorf("key %s: %q", key, got)
		}
	}
	var object struct {
		AccessToken string    `json:"access_token"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(s.Data["token.json"], &object); err != nil || object.AccessToken != now {
		t.Errorf("key token.json: %v %q", err, s.Data["token.json"])
	}
	if !bytes.Contains(s.Data["env"], []byte("PORTAL="+"'"+now+"'")) && !bytes.Contains(s.Data["env"], []byte("PORTAL="+now)) {
		t.Errorf("key env: %q", s.Data["env"])
	}
	expires, err := time.Parse(time.RFC3339, s.Annotations["tokend/expires-at"])
	if err != nil || expires.Sub(object.ExpiresAt).Abs() > time.Second {
		t.Errorf("tokend/expires-at is %q, the token expires at %v", s.Annotations["tokend/expires-at"], object.ExpiresAt)
	}
	for key, want := range map[string]string{"tokend/generation": "1", "tokend/token": "portal", "example.org/reload": "yes"} {
		if got := s.Annotations[key]; got != want {
			t.Errorf("annotation %s: %q", key, got)
		}
	}
	if s.Labels["team"] != "shop" || s.Labels["app.kubernetes.io/managed-by"] != "tokend" {
		t.Errorf("labels %v", s.Labels)
	}
	p.Stop(t)
}

func TestDockerSecretIsTakenByTheValidationOfTheAPIServer(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(newCluster(t, beds.cluster))
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), `
  sink "kubernetes_secret" {
    name     = "portal"
    type     = "kubernetes.io/dockerconfigjson"
    data     = { token = "{{ .AccessToken }}" }
    formats  = { ".dockerconfigjson" = "dockerconfigjson" }
    registry = "registry.example"
  }
`))
	p.Run(t)
	p.UntilGeneration(t, 20*time.Second, "portal", 1)
	p.untilEverywhere(t, 10*time.Second)
	s := p.cluster.secret("portal")
	if s.Type != corev1.SecretTypeDockerConfigJson {
		t.Errorf("the Secret is of type %s", s.Type)
	}
	var config struct {
		Auths map[string]struct{ Username, Password string } `json:"auths"`
	}
	if err := json.Unmarshal(s.Data[corev1.DockerConfigJsonKey], &config); err != nil || config.Auths["registry.example"].Password != p.current() {
		t.Errorf("the docker config: %v", err)
	}
	p.Stop(t)
}

func TestSecretThatAPersonChangesIsPutBackWithoutATokenRequest(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(newCluster(t, beds.cluster)).inVault(newStore(t, beds.vault))
	p.everywhere(t)
	p.begin(t)
	for what, change := range map[string]func(){
		"edits the Secret":    func() { p.cluster.put(t, "portal", map[string]string{"token": "wrong"}) },
		"deletes the Secret":  func() { p.cluster.remove(t, "portal") },
		"edits the entry":     func() { p.store.put(t, "apps/portal", map[string]string{"token": "wrong"}) },
		"deletes the entry":   func() { p.store.Do(t, "DELETE", p.store.mount+"/data/apps/portal", nil) },
		"destroys the entry":  func() { p.store.Do(t, "DELETE", p.store.mount+"/metadata/apps/portal", nil) },
		"takes the label off": func() { p.cluster.unlabel(t, "portal") },
	} {
		change()
		began := time.Now()
		p.untilEverywhere(t, 10*time.Second)
		t.Logf("a person %s: back after %v", what, time.Since(began).Round(10*time.Millisecond))
	}
	p.requests(t, 1)
	p.Stop(t)
}

// Two blocks are two clusters, or as here two accounts in one.
func TestSecretsOfTwoClustersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	first, second := newCluster(t, beds.cluster), newCluster(t, beds.cluster)
	p := newPortal(t, long).inCluster(first)
	p.secrets = append(p.secrets, second.bearer)
	other := strings.Replace(second.block(), `"main"`, `"other"`, 1)
	in := func(block string) string {
		return strings.Replace(secretSink, "name =", fmt.Sprintf("kubernetes = %q\n    name =", block), 1)
	}
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+other+tokenBlock(quoted(password), in("main"), in("other")))
	p.begin(t)
	tokend.Await(t, 5*time.Second, "the other Secret is there", func() bool { return second.token("portal") == p.current() })
	second.grant(t)
	p.refresh(t)
	p.untilEverywhere(t, time.Second)
	second.grant(t, everything())
	tokend.Await(t, convergeWithin, "the other Secret is current", func() bool { return second.token("portal") == p.current() })
	p.Until(t, 5*time.Second, "portal", "has no fault left", func(s token.Status) bool {
		return len(s.Sinks) == 2 && s.Sinks[0].LastError == nil && s.Sinks[1].LastError == nil && s.Sinks[0].Target != s.Sinks[1].Target
	})
	p.requests(t, 2)
	p.Stop(t)
}
