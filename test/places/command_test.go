package places

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

func TestOnceFillsASecretFromStateInKubernetesWithOneRequestForManyRuns(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(newCluster(t, beds.cluster))
	p.configure(t, kubernetesState()+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), secretSink))
	for range 3 {
		if _, err := p.Offline(t, "once", "--timeout", "20s", "--config", p.Config()); err != nil {
			t.Fatal(err)
		}
		if p.cluster.token("portal") != p.current() {
			t.Fatal("the Secret does not hold the current token")
		}
		p.cluster.remove(t, "portal")
	}
	p.requests(t, 1)
	p.cluster.grant(t, verbs("get", "list", "watch"))
	_, err := p.Offline(t, "once", "--timeout", "3s", "--config", p.Config())
	if err == nil || !strings.Contains(err.Error(), "may not create") || !strings.Contains(err.Error(), "Role") {
		t.Errorf("once without the verb: %v", err)
	}
	p.requests(t, 1)
}

// plan is what `tokend plan --output json` says, as far as it is looked at.
type plan struct {
	Running bool `json:"running"`
	Changes []struct {
		Token   string   `json:"token"`
		Action  string   `json:"action"`
		Request string   `json:"request"`
		Details []string `json:"details"`
	} `json:"changes"`
}

func (p *portal) plan(t *testing.T) plan {
	t.Helper()
	out, err := p.Offline(t, "plan", "--output", "json", "--config", p.Config())
	if err != nil {
		t.Fatal(err)
	}
	made := decode[plan](t, out)
	if len(made.Changes) != 1 {
		t.Fatalf("the plan is about %d tokens: %s", len(made.Changes), out)
	}
	return made
}

func TestPlanReadsARemoteStateWithoutADaemonAndChangesNothing(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := remember(t, where, long)
		if made := p.plan(t); made.Running || made.Changes[0].Request != "login" {
			t.Errorf("before the first start: %+v", made)
		}
		p.begin(t)
		if made := p.plan(t); !made.Running || made.Changes[0].Action != "keep" {
			t.Errorf("beside the daemon: %+v", made)
		}
		p.Stop(t)
		if made := p.plan(t); made.Running || made.Changes[0].Request != "" || !strings.Contains(strings.Join(made.Changes[0].Details, " "), "generation 1") {
			t.Errorf("after the daemon: %+v", made)
		}
		p.begin(t)
		p.plan(t)
		p.refresh(t) // the plan has fenced nobody
		p.requests(t, 2)
		p.Stop(t)
	})
}

func TestGetAnswersKubectl(t *testing.T) {
	t.Parallel()
	p := remember(t, "kubernetes", long)
	p.Environment = []string{`KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}}`}
	p.begin(t)
	out, err := p.Command(t, "get", "portal", "--format", "exec-credential", "--min-ttl", "1m")
	if err != nil {
		t.Fatal(err)
	}
	credential := decode[struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Status     struct {
			Token               string    `json:"token"`
			ExpirationTimestamp time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}](t, out)
	if credential.APIVersion != "client.authentication.k8s.io/v1" || credential.Kind != "ExecCredential" || credential.Status.Token != p.current() {
		t.Errorf("%s of %s, with another token", credential.Kind, credential.APIVersion)
	}
	if left := time.Until(credential.Status.ExpirationTimestamp); left < long-time.Minute || left > long {
		t.Errorf("the token is said to live for %v", left)
	}
	p.Stop(t)
}

func TestReloadThatChangesAPlaceWritesAnewWithoutARequest(t *testing.T) {
	t.Parallel()
	p := settled(t, newCluster(t, beds.cluster), newStore(t, beds.vault))
	for what, change := range map[string]func(){
		"a key of the Secret": func() {
			p.configure(t, strings.Replace(p.hcl, `data = { token = "{{ .AccessToken }}" }`+"\n  }\n\n  sink \"vault_kv\"",
				`data = { token = "{{ .AccessToken }}", more = "{{ .AccessToken }}" }`+"\n  }\n\n  sink \"vault_kv\"", 1))
		},
		"another kubernetes block": func() {
			p.configure(t, strings.Replace(p.hcl, "kubernetes \"main\" {\n", "kubernetes \"main\" {\n  qps = 20\n", 1))
		},
		"another vault block": func() {
			p.configure(t, strings.Replace(p.hcl, `timeout = "5s"`, `timeout = "6s"`, 1))
		},
		"custom metadata": func() {
			p.configure(t, strings.Replace(p.hcl, `check_every = "1s"`, "check_every = \"1s\"\n    metadata    = { expires = \"{{ .ExpiresAt }}\" }", 1))
		},
	} {
		before, loaded := p.hcl, p.Status(t).Config.LoadedAt
		change()
		if p.hcl == before {
			t.Fatalf("%s: the configuration is the same", what)
		}
		p.Signal(t, syscall.SIGHUP)
		tokend.Await(t, 10*time.Second, what+" is loaded", func() bool { return p.Status(t).Config.LoadedAt.After(loaded) })
		p.untilEverywhere(t, 10*time.Second)
		p.cluster.put(t, "portal", map[string]string{"token": "wrong"}) // watched as before
		p.untilEverywhere(t, 10*time.Second)
		p.requests(t, 1)
	}
	if s := p.cluster.secret("portal"); string(s.Data["more"]) != p.current() {
		t.Error("the key that was added is not there")
	}
	metadata := p.store.Do(t, "GET", p.store.mount+"/metadata/apps/portal", nil)["custom_metadata"]
	if custom, _ := metadata.(map[string]any); custom["expires"] == nil {
		t.Errorf("the custom metadata: %v", metadata)
	}
	p.refresh(t)
	p.untilEverywhere(t, 5*time.Second)
	p.requests(t, 2)
	p.Stop(t)
}

func TestReloadThatTakesSinksAwayRemovesWhatTheyWroteWhereThatIsConfigured(t *testing.T) {
	t.Parallel()
	p := newPortal(t, long).inCluster(newCluster(t, beds.cluster)).inVault(newStore(t, beds.vault))
	leaving := func(sink string) string {
		return strings.Replace(sink, "\n  }\n", "\n    on_remove = \"delete\"\n  }\n", 1)
	}
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), fileSink, leaving(secretSink), leaving(p.store.sink())))
	p.begin(t)
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), fileSink))
	p.Signal(t, syscall.SIGHUP)
	tokend.Await(t, 10*time.Second, "the Secret and the entry are gone", func() bool {
		return p.cluster.secret("portal") == nil && p.store.token("apps/portal") == ""
	})
	p.untilEverywhere(t, time.Second)
	p.requests(t, 1)
	p.Stop(t)
}

// The block of a state is taken at the start alone; the files that it names may be
// written anew at any time, as a mounted Secret is.
func TestStateOutlivesAReloadAfterItsBlocksFilesWereWrittenAnew(t *testing.T) {
	t.Parallel()
	inBoth(t, func(t *testing.T, where string) {
		p := remember(t, where, long)
		file := p.rewritable(t)
		p.begin(t)
		loaded := p.Status(t).Config.LoadedAt
		appendTo(t, file, "\n# written anew\n")
		p.Signal(t, syscall.SIGHUP)
		tokend.Await(t, 10*time.Second, "the change is loaded", func() bool { return p.Status(t).Config.LoadedAt.After(loaded) })
		p.refresh(t)
		p.requests(t, 2)
		p.Kill()
		p.begin(t)
		p.requests(t, 2)
		p.Stop(t)
	})
}
