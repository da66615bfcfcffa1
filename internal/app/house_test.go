package app

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
)

// house is where a test's daemon lives: a directory, and a token endpoint that
// grants whatever it is asked, save to clients called "refused".
type house struct {
	dir      string
	server   *httptest.Server
	requests atomic.Int64
	log      lockedBuffer
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newHouse makes the directory by hand: the path of a unix socket is short.
func newHouse(t *testing.T) *house {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend-app-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &house{dir: dir}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := h.requests.Add(1)
		w.Header().Set("Content-Type", "application/json")
		if id, _, _ := r.BasicAuth(); id == "refused" {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"error":"invalid_client"}`)
			return
		}
		_, _ = fmt.Fprintf(w, `{"access_token":"access-%d","token_type":"Bearer","expires_in":3600,"refresh_token":"refresh-%d"}`, n, n)
	}))
	t.Cleanup(func() {
		h.server.CloseClientConnections()
		h.server.Close()
	})
	return h
}

func (h *house) path(name string) string { return filepath.Join(h.dir, name) }

// config writes a configuration: the house, its provider with what is said of it,
// and tokens.
func (h *house) config(t *testing.T, name, provider string, tokens ...string) string {
	t.Helper()
	text := fmt.Sprintf(`
state "file" {
  path = %q
}
control {
  socket = %q
}
log {
  level = "debug"
}
provider "as" {
  token_endpoint = "%s/token"
  client_id      = "client"
  client_secret  = "secret"
  %s
}
%s`, h.path("state"), h.path("s"), h.server.URL, provider, strings.Join(tokens, "\n"))
	return h.write(t, name, text)
}

func (h *house) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(h.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return h.path(name)
}

// person is a token that logs in by name; more goes into its block.
func (h *house) person(name, more string) string {
	return fmt.Sprintf(`
token %q {
  provider = "as"
  grant "password" {
    username = %q
    password = "pw"
  }
  sink "file" {
    path = %q
  }
  %s
}`, name, name, h.path("out/"+name), more)
}

// garbled is a provider that reads well, and that no client can be built of.
func (h *house) garbled(t *testing.T) string {
	t.Helper()
	path := h.write(t, "ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	return fmt.Sprintf(`
provider "garbled" {
  token_endpoint = "https://as.example/token"
  client_id      = "client"
  client_secret  = "secret"
  tls {
    ca_file = %q
  }
}`, path)
}

func (h *house) read(name string) string {
	content, _ := os.ReadFile(h.path(name)) // absent is empty
	return string(content)
}

func (h *house) options(paths ...string) Options {
	return Options{ConfigPaths: paths, Version: "test", LogOutput: &h.log}
}

func (h *house) open(t *testing.T, paths ...string) *App {
	t.Helper()
	a, err := New(t.Context(), h.options(paths...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run runs a until stop is called or the test ends, and waits for its tokens.
// stop returns what Run did.
func (h *house) run(t *testing.T, a *App) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		_ = stop()
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	wait, cancelWait := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancelWait()
	if err := a.refresher.Wait(wait, nil, 0); err != nil {
		t.Fatal(err)
	}
	await(t, "the socket is open", func() bool { _, err := os.Stat(h.path("s")); return err == nil })
	return stop
}

// await asks again and again until the condition holds, for what rings no bell.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for late := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(late) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// planned is the plan of a configuration, in one line for each token.
func planned(t *testing.T, path string) (running bool, lines map[string]string) {
	t.Helper()
	p, err := Plan(t.Context(), PlanOptions{ConfigPaths: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Running, planLines(t, p)
}

func planLines(t *testing.T, p *control.Plan) map[string]string {
	t.Helper()
	lines := map[string]string{}
	for i, c := range p.Changes {
		if i > 0 && p.Changes[i-1].Token >= c.Token {
			t.Errorf("%s stands before %s", p.Changes[i-1].Token, c.Token)
		}
		lines[c.Token] = fmt.Sprintf("%s [%s] %s", c.Action, c.Request, strings.Join(c.Details, "; "))
	}
	return lines
}
