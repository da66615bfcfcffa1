package page

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed"
)

// TestInABrowser runs page.test.mjs. It needs Chromium, Node.js 20 and npm: without
// them it is skipped, but not in continuous integration.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	chromium := must(t, browser)
	modules := must(t, install)
	shots := os.Getenv("TOKEND_SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	six, many := serve(t, six()), serve(t, fleet(10_000))
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "page.test.mjs")
	cmd.Dir = t.TempDir()
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(cmd.Dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("page.test.mjs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cmd.Dir, "page.test.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(os.Environ(), "CHROMIUM="+chromium, "SIX="+six, "MANY="+many, "SHOTS="+shots, "CANARY="+canary, "SLOWDOWN="+slowdown)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}

// must skips where something is missing, and fails in continuous integration.
func must(t *testing.T, f func() (string, error)) string {
	t.Helper()
	path, err := f()
	if err != nil {
		testbed.Missing(t, "%v", err)
	}
	return path
}

func browser() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no browser: apt-get install chromium")
}

// install puts playwright-core into the user's cache, by the content of the lock
// file, under another name until it is complete.
func install() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	path := filepath.Join(cache, "tokend-test", "playwright-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.RemoveAll(fresh)
	if err := os.MkdirAll(fresh, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(fresh, name), text, 0o600); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	if err := os.Rename(fresh, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, nil
}

// serve shows s, and lets the browser's tests tell it what to do.
func serve(t *testing.T, s *script) string {
	t.Helper()
	timeline := page.NewTimeline()
	past(timeline)
	mux := http.NewServeMux()
	mux.Handle("/", page.Handler(s, timeline))
	server := httptest.NewServer(mux)
	steps := steps(s, timeline)
	steps["drop"] = func(string) { go server.CloseClientConnections() }
	mux.HandleFunc("POST /test/{step}", func(_ http.ResponseWriter, r *http.Request) { steps[r.PathValue("step")](r.FormValue("name")) })
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// steps are what a browser's test may have happen.
func steps(s *script, timeline *page.Timeline) map[string]func(name string) {
	return map[string]func(name string){
		"renew": func(name string) {
			now := time.Now()
			s.edit(name, func(t *token.Status) {
				generation, provider, grant := t.Generation+1, t.Provider, t.Grant
				*t = fresh(name, now)
				t.Generation, t.Provider, t.Grant = generation, provider, grant
				t.IssuedAt, t.ExpiresAt = now, now.Add(time.Hour)
				for i := range t.Sinks {
					t.Sinks[i].Generation = generation
				}
			})
			timeline.Observe(refresher.Event{Kind: refresher.LoggedIn, At: now, Token: name, Took: 87 * time.Millisecond})
		},
		"expire": func(name string) { s.edit(name, func(t *token.Status) { *t = expired(name, time.Now()) }) },
		"remove": s.remove,
		"reset":  func(string) { s.daemon(func(d *control.Status) { *d = six().status }) },
		"break": func(string) {
			s.daemon(func(d *control.Status) {
				d.Config.Error = &token.Problem{At: time.Now(), Code: "config", Message: "client_secret = " + canary}
			})
		},
		"empty": func(string) { s.daemon(func(d *control.Status) { d.Tokens = nil }) },
		"long": func(name string) {
			s.edit(name, func(t *token.Status) {
				*t = expired(name, time.Now())
				t.Provider, t.Grant = strings.Repeat("provider", 7), "urn:ietf:params:oauth:grant-type:jwt-bearer"
				t.Sinks[0].Target = "/run/tokend/" + strings.Repeat("a-long-way/", 20) + "token"
				t.LastError.Message = strings.Repeat("unbroken", 60)
			})
		},
		"mend": func(string) { s.daemon(func(d *control.Status) { d.Config.Error = nil }) },
	}
}

// past is what had happened before.
func past(timeline *page.Timeline) {
	now := time.Now()
	refused := &token.Failure{Class: token.NotSent, Reason: "dial", Err: errors.New("dial tcp 192.0.2.10:443: connect: connection refused")}
	for _, e := range []refresher.Event{
		{Kind: refresher.LoggedIn, At: now.Add(-50 * time.Minute), Took: 131 * time.Millisecond, Generation: 12},
		{Kind: refresher.SinkWritten, At: now.Add(-50 * time.Minute), SinkKind: "file", Target: "/run/tokend/billing/token", SinceAnswer: 1300 * time.Microsecond},
		{Kind: refresher.SinkFailed, At: now.Add(-30 * time.Second), SinkKind: "vault_kv", Target: "secret/apps/billing", Err: errors.New("Vault is sealed (HTTP 503)")},
		{Kind: refresher.AttemptFailed, At: now.Add(-90 * time.Second), Class: token.NotSent, Err: refused},
		{Kind: refresher.AttemptFailed, At: now.Add(-40 * time.Second), Class: token.NotSent, Err: refused},
		{Kind: refresher.AttemptFailed, At: now.Add(-9 * time.Second), Class: token.NotSent, Err: refused},
	} {
		e.Token, e.Provider = "billing-export", "invoices"
		timeline.Observe(e)
	}
}
