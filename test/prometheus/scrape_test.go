package prometheus

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// issuer is an authorization server whose tokens live for some seconds, and that
// can be down.
type issuer struct {
	*httptest.Server
	down   atomic.Bool
	issued atomic.Uint64
}

func newIssuer(t *testing.T, lifetime time.Duration) *issuer {
	s := &issuer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"canary-%d","token_type":"Bearer","expires_in":%d}`, s.issued.Add(1), int(lifetime.Seconds()))
	}))
	t.Cleanup(s.Close)
	return s
}

// start runs a program until the test ends, and shows what it said if the test
// has failed.
func start(t *testing.T, bin string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(bin), said.Bytes())
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// get returns the body of an answer with status 200, and the empty string for
// others.
func get(ctx context.Context, url string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return ""
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

func await(t *testing.T, what string, condition func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !condition(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("in a minute it did not come about that %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// monitored is a daemon with two tokens, one of which comes from frail, and a
// Prometheus that scrapes it every second.
type monitored struct {
	frail, sound       *issuer
	tokend, prometheus string // addresses
}

func monitor(t *testing.T) *monitored {
	t.Helper()
	l := built(t)
	m := &monitored{frail: newIssuer(t, 4*time.Second), sound: newIssuer(t, time.Hour), tokend: freeAddress(t), prometheus: freeAddress(t)}
	dir, err := os.MkdirTemp("", "tokend-") // a unix socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	place := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	house := fmt.Sprintf("state \"file\" {\n path = \"%s/state\"\n}\ncontrol {\n socket = \"%s/run/control.sock\"\n}\nhttp {\n address = %q\n}\n", dir, dir, m.tokend)
	for name, s := range map[string]*issuer{"frail": m.frail, "sound": m.sound} {
		house += fmt.Sprintf(`
provider %q {
  token_endpoint = "%s/token"
  client_id      = "id"
  client_secret  = "hunter2"
  schedule {
    min_interval = "1s"
    lead         = "1s"
  }
}
token "from-%s" {
  provider = %q
  grant "client_credentials" {
  }
  sink "file" {
    path = "%s/out/%s"
  }
}
`, name, s.URL, name, name, dir, name)
	}
	rules, err := os.ReadFile(ruleFile)
	if err != nil {
		t.Fatal(err)
	}
	// What takes minutes there may take seconds here.
	place("rules.yml", string(regexp.MustCompile(`(?m)^( +for:) .*$`).ReplaceAll(rules, []byte("$1 1s"))))
	config := place("prometheus.yml", fmt.Sprintf("global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [rules.yml]\nscrape_configs:\n  - job_name: tokend\n    static_configs:\n      - targets: [%q]\n", m.tokend))
	start(t, l.tokend, "run", "--config", place("tokend.hcl", house))
	start(t, l.prometheus, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+m.prometheus)
	return m
}

// firing lists the alerts of a name that fire, by the token they name.
func (m *monitored) firing(ctx context.Context, alert string) []string {
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	_ = json.Unmarshal([]byte(get(ctx, "http://"+m.prometheus+"/api/v1/alerts")), &answer)
	var tokens []string
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" && a.Labels["alertname"] == alert {
			tokens = append(tokens, a.Labels["token"])
		}
	}
	return tokens
}

// value is that of a query with one answer.
func (m *monitored) value(ctx context.Context, query string) string {
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	_ = json.Unmarshal([]byte(get(ctx, "http://"+m.prometheus+"/api/v1/query?query="+query)), &answer)
	if len(answer.Data.Result) != 1 {
		return ""
	}
	return fmt.Sprint(answer.Data.Result[0].Value[1])
}

func TestPrometheusScrapesTheDaemonAndAnAlertFiresWhenATokenExpires(t *testing.T) {
	t.Parallel()
	m := monitor(t)
	await(t, "Prometheus sees both tokens valid", func(ctx context.Context) bool {
		return m.value(ctx, "sum(tokend_token_valid)") == "2" && m.value(ctx, "up") == "1"
	})
	if fires := m.firing(t.Context(), "TokendTokenExpired"); len(fires) > 0 {
		t.Errorf("an alert fires for %q", fires)
	}

	m.frail.down.Store(true)
	await(t, "the alert fires", func(ctx context.Context) bool { return len(m.firing(ctx, "TokendTokenExpired")) > 0 })
	if fires := m.firing(t.Context(), "TokendTokenExpired"); !slices.Equal(fires, []string{"from-frail"}) {
		t.Errorf("it fires for %q", fires)
	}
	if body := get(t.Context(), "http://"+m.tokend+"/readyz/from-sound"); !strings.HasPrefix(body, "[+] from-sound: fresh, expires in ") {
		t.Errorf("the other token: %q", body)
	}

	m.frail.down.Store(false)
	await(t, "the alert ends", func(ctx context.Context) bool {
		return len(m.firing(ctx, "TokendTokenExpired")) == 0 && m.value(ctx, "sum(tokend_token_valid)") == "2"
	})
	m.check(t)
}

// check has promtool look at what the daemon shows, and looks for secrets.
func (m *monitored) check(t *testing.T) {
	t.Helper()
	body := get(t.Context(), "http://"+m.tokend+"/metrics")
	if body == "" || strings.Contains(body, "canary") || strings.Contains(body, "hunter2") {
		t.Errorf("no metrics, or a secret among them: %s", body)
	}
	cmd := exec.CommandContext(t.Context(), built(t).promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(body)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	var targets struct {
		Data struct{ ActiveTargets []struct{ LastError string } }
	}
	if err := json.Unmarshal([]byte(get(t.Context(), "http://"+m.prometheus+"/api/v1/targets")), &targets); err != nil {
		t.Fatal(err)
	}
	for _, target := range targets.Data.ActiveTargets {
		if target.LastError != "" {
			t.Errorf("a scrape failed: %s", target.LastError)
		}
	}
}
