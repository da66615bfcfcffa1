package places

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

const (
	long         = time.Hour // a lifetime in which nothing is due
	clientSecret = "client-secret/of+the&portal"
	password     = "password-of-the-portal"
	stateKey     = "ZGVtb25zdHJhdGlvbi1rZXktb2YtMzItYnl0ZXMhISE="
)

// portal is a daemon with one token, portal, of an authorization server.
type portal struct {
	*tokend.Daemon
	server  *strict.Server
	cluster *cluster // nil where the test has none
	store   *store
	hcl     string   // the configuration
	secrets []string // that must not be logged
}

func newPortal(t *testing.T, lifetime time.Duration) *portal {
	t.Helper()
	p := &portal{Daemon: tokend.New(t, beds.tokend), server: strict.Start(t, lifetime)}
	p.secrets = []string{clientSecret, password, stateKey}
	p.server.ClientSecret = clientSecret
	t.Cleanup(func() { p.judge(t) })
	return p
}

// inCluster and inVault say where a test's places are.
func (p *portal) inCluster(c *cluster) *portal {
	p.cluster, p.secrets = c, append(p.secrets, c.bearer)
	return p
}

func (p *portal) inVault(s *store) *portal {
	p.store, p.secrets = s, append(p.secrets, s.secretID, s.RootToken)
	return p
}

// judge looks, when all is over, for what no test allows: a refresh token that was
// presented twice, and a secret in the log, although it is a debug log.
func (p *portal) judge(t *testing.T) {
	if n := p.server.Count(strict.Reuse) + p.server.Count(strict.Unknown); n > 0 {
		t.Errorf("%d refresh tokens were presented that were spent or never issued", n)
	}
	if p.Process != nil {
		p.conceals(t, "the log", p.Log.Bytes())
	}
}

// conceals fails where a secret is in what a person may see.
func (p *portal) conceals(t *testing.T, where string, text []byte) {
	t.Helper()
	for _, secret := range append(p.server.Secrets(), p.secrets...) {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%.12q… is in %s", secret, where)
		}
	}
}

// showsNoSecret looks at what the commands print.
func (p *portal) showsNoSecret(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"status"}, {"status", "--output", "json"}, {"plan", "--config", p.Config()}} {
		out, err := p.Command(t, args...)
		p.conceals(t, "the output of "+args[0], fmt.Appendf([]byte(out), "%v", err))
	}
}

// blocks is the configuration but for the state and the token. The client's secret
// is an expression.
func (p *portal) blocks(secret string) string {
	text := fmt.Sprintf(`
control {
  socket = "DIR/run/control.sock"
}
log {
  level  = "debug"
  format = "json"
}
provider "strict" {
  token_endpoint = %q
  client_id      = "portal"
  client_secret  = %s
  schedule {
    refresh_at   = 0.5
    lead         = "1s"
    min_interval = "500ms"
  }
}
`, p.server.URL, secret)
	if p.cluster != nil {
		text += p.cluster.block()
	}
	if p.store != nil {
		text += p.store.block()
	}
	return text
}

func quoted(s string) string { return fmt.Sprintf("%q", s) }

const fileState = `
state "file" {
  path = "DIR/state"
}
`

func tokenBlock(password string, sinks ...string) string {
	return fmt.Sprintf(`
token "portal" {
  provider = "strict"
  grant "password" {
    username = "portal"
    password = %s
  }
%s}
`, password, strings.Join(sinks, ""))
}

const fileSink = `
  sink "file" {
    path = "DIR/out/portal"
  }
`

const secretSink = `
  sink "kubernetes_secret" {
    name = "portal"
    data = { token = "{{ .AccessToken }}" }
  }
`

func (s *store) sink() string {
	return fmt.Sprintf(`
  sink "vault_kv" {
    mount       = %q
    path        = "apps/portal"
    data        = { token = "{{ .AccessToken }}" }
    check_every = "1s"
  }
`, s.mount)
}

// everywhere configures the token with a sink in each place.
func (p *portal) everywhere(t *testing.T) {
	t.Helper()
	p.configure(t, fileState+p.blocks(quoted(clientSecret))+tokenBlock(quoted(password), fileSink, secretSink, p.store.sink()))
}

// configure replaces the configuration.
func (p *portal) configure(t *testing.T, hcl string) {
	t.Helper()
	p.hcl = hcl
	p.Configure(t, hcl)
}

// places are what the sinks of the configuration hold, by their kind.
func (p *portal) places() map[string]func() string {
	all := map[string]func() string{
		"file":              func() string { return p.Content("portal") },
		"kubernetes_secret": func() string { return p.cluster.token("portal") },
		"vault_kv":          func() string { return p.store.token("apps/portal") },
	}
	maps.DeleteFunc(all, func(kind string, _ func() string) bool { return !strings.Contains(p.hcl, "sink "+quoted(kind)) })
	return all
}

// current is the access token of the latest answer.
func (p *portal) current() string {
	p.server.Lock()
	defer p.server.Unlock()
	f := p.server.Families["portal"]
	if f == nil {
		return ""
	}
	return f.Latest.Access
}

// untilEverywhere waits until the current token is in all places but those named.
func (p *portal) untilEverywhere(t *testing.T, within time.Duration, but ...string) {
	t.Helper()
	places := p.places()
	for _, kind := range slices.Sorted(maps.Keys(places)) {
		if slices.Contains(but, kind) {
			continue
		}
		tokend.Await(t, within, "the current token is in "+kind, func() bool {
			now := p.current()
			return now != "" && places[kind]() == now
		})
	}
}

// begin starts the daemon and waits until its first token is everywhere.
func (p *portal) begin(t *testing.T) {
	t.Helper()
	p.Run(t)
	p.UntilGeneration(t, 20*time.Second, "portal", 1)
	p.untilEverywhere(t, 20*time.Second)
}

// refresh asks for a new generation, as a person does.
func (p *portal) refresh(t *testing.T) {
	t.Helper()
	if _, err := p.Command(t, "refresh", "portal"); err != nil {
		t.Fatal(err)
	}
}

// requests fails unless there were so many token requests.
func (p *portal) requests(t *testing.T, want int) {
	t.Helper()
	if n := p.server.Requests(); n != want {
		t.Errorf("%d token requests, want %d", n, want)
	}
}

// sink is the status of the sink of a kind.
func sinkOf(s token.Status, kind string) token.SinkStatus {
	i := slices.IndexFunc(s.Sinks, func(s token.SinkStatus) bool { return s.Kind == kind })
	if i < 0 {
		return token.SinkStatus{}
	}
	return s.Sinks[i]
}

// removeFile takes the file sink's target away, as a reboot does with /run.
func removeFile(p *portal) error { return os.RemoveAll(p.File("")) }

// rewritable has the configuration name a copy of the kubeconfig, or of Vault's
// authority, and returns its path.
func (p *portal) rewritable(t *testing.T) string {
	t.Helper()
	var named string
	if p.cluster != nil {
		named = p.cluster.kubeconfig
	} else {
		named = p.store.CAFile
	}
	copied := filepath.Join(t.TempDir(), "copy")
	must(t, os.WriteFile(copied, []byte(tokend.Content(named)), 0o600))
	p.configure(t, strings.ReplaceAll(p.hcl, named, copied))
	return copied
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(tokend.Content(path)+text), 0o600))
}
