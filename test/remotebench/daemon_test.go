package remotebench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
)

// daemon is a running tokend and the token server that it asks.
type daemon struct {
	cmd    *exec.Cmd
	client *control.Client
	log    string
	cold   time.Duration // from its start until every place was filled
}

// start builds and starts tokend, and returns when every place holds a token.
func start(b *testing.B, r room) *daemon {
	b.Helper()
	dir := b.TempDir()
	binary := filepath.Join(dir, "tokend")
	build := exec.CommandContext(b.Context(), "go", "build", "-o", binary, "./cmd/tokend")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building tokend: %v\n%s", err, out)
	}
	config := filepath.Join(dir, "tokend.hcl")
	socket := filepath.Join(dir, "control.sock")
	text := strings.NewReplacer("STATE", filepath.Join(dir, "state"), "SOCKET", socket, "ENDPOINT", tokenServer(b), "BLOCKS", r.blocks,
		"SINK", r.sink, "PLACES", fmt.Sprint(places)).Replace(`
state "file" {
  path = "STATE"
}
control {
  socket = "SOCKET"
}
log {
  level = "debug"
}
BLOCKS
provider "bench" {
  token_endpoint = "ENDPOINT"
  client_id      = "bench"
  client_secret  = "bench"
  schedule {
    refresh_at   = 0.75
    lead         = "5s"
    min_interval = "1s"
  }
  limits {
    concurrency = 64
  }
}
dynamic "token" {
  for_each = { for i in range(PLACES) : format("place-%04d", i) => i }
  labels   = [token.key]
  content {
    provider = "bench"
    grant "client_credentials" {}
    SINK
  }
}
`)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	d := &daemon{client: control.NewClient(socket), log: filepath.Join(dir, "log")}
	log, err := os.Create(d.log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	d.cmd = exec.Command(binary, "run", "--config", config)
	d.cmd.Stderr = log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	began := time.Now()
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	d.await(b, began)
	return d
}

func (d *daemon) await(b *testing.B, began time.Time) {
	b.Helper()
	for time.Since(began) < 2*time.Minute {
		ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
		status, err := d.client.Status(ctx)
		cancel()
		filled := 0
		for _, t := range status.Tokens {
			if len(t.Sinks) == 1 && t.Sinks[0].Generation > 0 {
				filled++
			}
		}
		if err == nil && filled == places {
			d.cold = time.Since(began)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(d.log)
	b.Fatalf("the places were not filled within two minutes:\n%.2000s", text)
}

func (d *daemon) stop(b *testing.B) {
	b.Helper()
	d.client.Close()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		b.Errorf("tokend ended: %v", err)
	}
}

// steadily is what a lifetime of refreshes came to.
type steadily struct {
	took                        time.Duration // median of a write
	refreshes, requests, writes int
}

// watch lets the first wave of refreshes pass and looks at the lifetime after it.
func (d *daemon) watch(b *testing.B, r room) steadily {
	b.Helper()
	time.Sleep(lifetime)
	all, writes := r.requests(b)
	from := time.Now()
	time.Sleep(lifetime)
	to := time.Now()
	lateAll, lateWrites := r.requests(b)
	s := steadily{requests: lateAll - all, writes: lateWrites - writes}

	file, err := os.Open(d.log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var took []time.Duration
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var line struct {
			Event string
			Time  time.Time
			Took  string
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Event != "sink_written" || line.Time.Before(from) || line.Time.After(to) {
			continue
		}
		one, err := time.ParseDuration(line.Took)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, one)
	}
	s.took, s.refreshes = median(took), len(took)
	return s
}

// tokenServer answers with a new access token each time.
func tokenServer(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var issued atomic.Int64
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"access_token":"%0*d","token_type":"Bearer","expires_in":%d}`, content, issued.Add(1), int(lifetime.Seconds()))
	})}
	go func() { _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String() + "/token"
}
