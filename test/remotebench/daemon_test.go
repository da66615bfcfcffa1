package remotebench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
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
	began  time.Time
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
	d.began = time.Now()
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	d.await(b)
	return d
}

func (d *daemon) await(b *testing.B) {
	b.Helper()
	for time.Since(d.began) < 2*time.Minute {
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
			d.cold = time.Since(d.began)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	text, _ := os.ReadFile(d.log)
	b.Fatalf("the places were not filled within two minutes:\n%.2000s", text)
}

// refreshAll asks for all tokens at once, and returns how long it took until every
// place holds its new one.
func (d *daemon) refreshAll(b *testing.B) time.Duration {
	b.Helper()
	generation := d.generation(b)
	began := time.Now()
	var asked sync.WaitGroup
	next := make(chan int)
	for range 64 {
		asked.Go(func() {
			for i := range next {
				if err := d.client.Refresh(b.Context(), placeName(i), false); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range places {
		next <- i
	}
	close(next)
	asked.Wait()
	for d.generation(b) <= generation {
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// generation is the lowest that a place holds.
func (d *daemon) generation(b *testing.B) uint64 {
	b.Helper()
	status, err := d.client.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	lowest := uint64(math.MaxUint64)
	for _, t := range status.Tokens {
		lowest = min(lowest, t.Sinks[0].Generation)
	}
	return lowest
}

// stop ends tokend and returns, from its log, when it did what.
func (d *daemon) stop(b *testing.B) (timeline string) {
	b.Helper()
	d.client.Close()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		b.Errorf("tokend ended: %v", err)
	}
	file, err := os.Open(d.log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	first, last := map[string]time.Time{}, map[string]time.Time{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var line struct {
			Event string
			Time  time.Time
		}
		if json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		if first[line.Event].IsZero() {
			first[line.Event] = line.Time
		}
		last[line.Event] = line.Time
	}
	since := func(at time.Time) time.Duration { return at.Sub(d.began).Round(time.Millisecond) }
	return fmt.Sprintf("started after %v, tokens from %v to %v, writes from %v to %v", since(first["started"]),
		since(first["logged_in"]), since(last["logged_in"]), since(first["sink_written"]), since(last["sink_written"]))
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
