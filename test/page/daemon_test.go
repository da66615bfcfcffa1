package page

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/token"
)

// patience is for a busy machine.
const patience = 20 * time.Second

// gossip is an authorization server that repeats every secret that it is sent, and
// issues tokens that are easy to find again.
func gossip(w http.ResponseWriter, r *http.Request, issued *atomic.Int64) {
	_ = r.ParseForm()
	w.Header().Set("Content-Type", "application/json")
	if r.Form.Get("username") == "refused" {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant",
			"error_description": "no good: " + r.Form.Get("password") + " of " + r.Form.Get("client_secret") + " " + url.QueryEscape(r.Form.Encode())})
		return
	}
	n := issued.Add(1)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": fmt.Sprintf("canary-access-%d", n), "refresh_token": fmt.Sprintf("canary-refresh-%d", n), "token_type": "Bearer", "expires_in": 3600,
	})
}

// start runs a daemon and returns where its page is.
func start(t *testing.T) string {
	t.Helper()
	var issued atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gossip(w, r, &issued) }))
	t.Cleanup(server.Close)
	dir, err := os.MkdirTemp("", "page")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	config := fmt.Sprintf(`
state "file" { path = %[1]q }
http { address = %[2]q }
control { socket = "%[1]s/control.sock" }
provider "gossip" {
  token_endpoint = "%[3]s/token"
  client_id      = "client"
  client_secret  = "canary-client"
  request {
    client_auth = "client_secret_post"
    query       = { key = "canary-query" }
  }
}
token "good" {
  provider = "gossip"
  grant "password" {
    username = "good"
    password = "canary-password"
  }
  sink "file" { path = "%[1]s/good" }
}
token "refused" {
  provider = "gossip"
  grant "password" {
    username = "refused"
    password = "canary-password"
  }
  sink "file" { path = "%[1]s/refused" }
}
token "hooked" {
  provider = "gossip"
  grant "password" {
    username = "hooked"
    password = "canary-password"
  }
  sink "file" { path = "%[1]s/hooked" }
  on_update { command = ["sh", "-c", "cat %[1]s/hooked; base64 %[1]s/hooked; exit 3"] }
}
`, dir, address, server.URL)
	if err := os.WriteFile(filepath.Join(dir, "tokend.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{ConfigPaths: []string{filepath.Join(dir, "tokend.hcl")}, Version: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + address
}

func get(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(answer.Header) + string(body)
}

// listen reads the stream of changes until the hook's failure has come, or nothing
// more does.
func listen(ctx context.Context, base string) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var text strings.Builder
	for ctx.Err() == nil && !strings.Contains(text.String(), "hook_failed") {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/events", http.NoBody)
		if err != nil {
			return err.Error()
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			time.Sleep(10 * time.Millisecond) // it does not listen yet
			continue
		}
		buffer := make([]byte, 64<<10)
		for err == nil && !strings.Contains(text.String(), "hook_failed") {
			var n int
			n, err = answer.Body.Read(buffer)
			text.Write(buffer[:n])
		}
		_ = answer.Body.Close()
	}
	return text.String()
}

// states reads the tokens by name.
func states(t *testing.T, base string) map[string]token.Status {
	t.Helper()
	answer, err := http.Get(base + "/api/v1/tokens")
	if err != nil {
		return nil // it is not there yet
	}
	defer answer.Body.Close()
	var got struct{ Tokens []token.Status }
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	all := map[string]token.Status{}
	for _, s := range got.Tokens {
		all[s.Name] = s
	}
	return all
}

// A real daemon, a server that repeats secrets in its errors, a hook that prints the
// token: page, API, events and timelines show none of it.
func TestNoSecretOfARealDaemonIsShown(t *testing.T) {
	t.Parallel()
	base := start(t)
	heard := make(chan string, 1)
	go func() { heard <- listen(t.Context(), base) }()
	deadline := time.Now().Add(patience)
	for {
		all := states(t, base)
		hook := all["hooked"].Hook
		if all["good"].State == token.StateFresh && all["refused"].LastError != nil && hook != nil && hook.LastError != nil {
			if code := all["refused"].LastError.Code; code != "invalid_grant" {
				t.Errorf("the refusal's code is %q", code)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the tokens stay as they are: %+v", all)
		}
		time.Sleep(20 * time.Millisecond)
	}
	seen := map[string]string{}
	for _, path := range []string{"/", "/problems", "/api/v1/tokens", "/api/v1/tokens/good", "/api/v1/tokens/refused", "/api/v1/tokens/hooked"} {
		seen[path] = get(t, base+path)
	}
	if !strings.Contains(seen["/api/v1/tokens/refused"], `"kind":"attempt_failed"`) || !strings.Contains(seen["/api/v1/tokens/hooked"], `"kind":"hook_failed"`) {
		t.Errorf("the timelines tell nothing: %s", seen)
	}
	seen["events"] = <-heard
	if !strings.Contains(seen["events"], "hook_failed") {
		t.Errorf("the stream does not tell of the hook: %s", seen["events"])
	}
	for where, text := range seen {
		for _, secret := range []string{"canary", base64.StdEncoding.EncodeToString([]byte("canary-access"))[:15], hex.EncodeToString([]byte("canary"))} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("%s shows a secret: …%s", where, text[max(0, i-80):min(len(text), i+40)])
			}
		}
	}
}
