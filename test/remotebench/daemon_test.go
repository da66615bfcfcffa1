package remotebench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// daemon is a running tokend and the token server that it asks. What it does is
// read from its log: asking it for the state of a thousand tokens again and again
// would cost it, and the processors that all share, more than the writes.
type daemon struct {
	cmd   *exec.Cmd
	log   *os.File
	path  string // of the log
	rest  []byte // of the log, after the last whole line
	seen  map[string]*span
	began time.Time
	cold  time.Duration // from its start until every place was filled
}

// span is how often an event was logged, and when first and last.
type span struct {
	count       int
	first, last time.Time
}

// start starts tokend, and returns when every place holds a token. schedule is its
// provider's, beside what all have.
func start(b *testing.B, binary string, r room, schedule string) *daemon {
	b.Helper()
	dir := b.TempDir()
	config := filepath.Join(dir, "tokend.hcl")
	socket := filepath.Join(dir, "control.sock")
	text := strings.NewReplacer("STATE", filepath.Join(dir, "state"), "SOCKET", socket, "ENDPOINT", tokenServer(b), "BLOCKS", r.blocks,
		"SINK", r.sink, "SCHEDULE", schedule, "PLACES", fmt.Sprint(places)).Replace(`
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
    SCHEDULE
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
	d := &daemon{path: filepath.Join(dir, "log"), seen: map[string]*span{}}
	log, err := os.Create(d.path)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	if d.log, err = os.Open(d.path); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.log.Close() })
	d.cmd = exec.Command(binary, "run", "--config", config)
	d.cmd.Stderr = log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	d.began = time.Now()
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	d.cold = d.await(b, places).Sub(d.began)
	return d
}

// await returns when the log tells of so many writes, with the time of the last.
func (d *daemon) await(b *testing.B, writes int) time.Time {
	b.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		d.read(b)
		if s := d.seen["sink_written"]; s != nil && s.count >= writes {
			return s.last
		}
	}
	text, _ := os.ReadFile(d.path)
	b.Fatalf("there were no %d writes within three minutes:\n%.2000s", writes, text)
	return time.Time{}
}

// read takes in what the log has gained.
func (d *daemon) read(b *testing.B) {
	b.Helper()
	text, err := io.ReadAll(d.log)
	if err != nil {
		b.Fatal(err)
	}
	d.rest = append(d.rest, text...)
	for {
		line, rest, whole := bytes.Cut(d.rest, []byte("\n"))
		if !whole {
			return
		}
		d.rest = rest
		var e struct {
			Event string
			Time  time.Time
		}
		if json.Unmarshal(line, &e) != nil {
			continue
		}
		s := d.seen[e.Event]
		if s == nil {
			s = &span{first: e.Time}
			d.seen[e.Event] = s
		}
		s.count, s.last = s.count+1, e.Time
	}
}

// tick waits for the full minute, at which all tokens are due, and returns how long
// after it every place held its new one.
func (d *daemon) tick(b *testing.B) time.Duration {
	b.Helper()
	d.read(b)
	due := time.Now().Truncate(time.Minute).Add(time.Minute)
	return d.await(b, d.seen["sink_written"].count+places).Sub(due)
}

// stop ends tokend and returns, from its log, when it did what first.
func (d *daemon) stop(b *testing.B) (timeline string) {
	b.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		b.Errorf("tokend ended: %v", err)
	}
	d.read(b)
	since := func(at time.Time) time.Duration { return at.Sub(d.began).Round(time.Millisecond) }
	started, tokens, writes := d.seen["started"], d.seen["logged_in"], d.seen["sink_written"]
	return fmt.Sprintf("started after %v, tokens from %v to %v, writes from %v to %v", since(started.first),
		since(tokens.first), since(tokens.last), since(writes.first), since(writes.last))
}

// tokenServer answers with a new access token each time. It speaks just enough
// HTTP/1.1, so that it costs little beside what is measured on the same processors.
func tokenServer(b *testing.B) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	var issued atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go issue(c, &issued)
		}
	}()
	return "http://" + l.Addr().String() + "/token"
}

// issue answers the requests of one connection, until it ends.
func issue(c net.Conn, issued *atomic.Int64) {
	defer func() { _ = c.Close() }()
	for r := bufio.NewReader(c); ; {
		if !skipRequest(r) {
			return
		}
		body := fmt.Sprintf(`{"access_token":"%0*d","token_type":"Bearer","expires_in":%d}`, content, issued.Add(1), int(lifetime.Seconds()))
		if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
			return
		}
	}
}

// skipRequest reads a request; false is for the end of the connection.
func skipRequest(r *bufio.Reader) bool {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return false
		}
		if len(line) == 2 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	_, err := r.Discard(length)
	return err == nil
}
