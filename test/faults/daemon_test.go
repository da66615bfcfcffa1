package faults

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
)

// patience is how long a test waits for what a busy machine does in
// milliseconds.
const patience = 30 * time.Second

// bell wakes those who wait for something to have happened.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBell() *bell { return &bell{ch: make(chan struct{})} }

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}

func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

// await returns when the condition holds. It is asked again whenever the bell
// rings, and now and then for what rings no bell.
func (b *bell) await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	late := time.After(patience)
	for {
		rung := b.next()
		if condition() {
			return
		}
		select {
		case <-rung:
		case <-time.After(100 * time.Millisecond):
		case <-late:
			t.Fatalf("waited %v in vain until %s", patience, what)
		}
	}
}

// journal is the daemon's log. Each line rings the bell, after hook has seen it.
type journal struct {
	bell *bell
	hook func(line map[string]any) // called while the daemon waits for its line to be written

	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	j.buf.Write(line)
	hook := j.hook
	j.mu.Unlock()
	if hook != nil {
		var fields map[string]any
		if json.Unmarshal(line, &fields) == nil {
			hook(fields)
		}
	}
	j.bell.ring()
	return len(line), nil
}

func (j *journal) bytes() []byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return bytes.Clone(j.buf.Bytes())
}

// count is how many lines tell of an event, of one token or of any.
func (j *journal) count(event, name string) int {
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(j.bytes())); lines.Scan(); {
		var line struct{ Event, Token string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Event == event && (name == "" || line.Token == name) {
			n++
		}
	}
	return n
}

// daemon is tokend within the test, and the directory it lives in.
type daemon struct {
	*bell
	dir string
	log *journal
	app *app.App

	httpAddress string // of its http block, where it has one

	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run, once done is closed
}

// place makes a directory for a daemon whose log rings the bell, and starts
// nothing. A unix socket's path is short, so t.TempDir will not do.
func place(t *testing.T, b *bell) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &daemon{bell: b, dir: dir, log: &journal{bell: b}}
}

// house is what every configuration begins with; DIR stands for the daemon's
// directory.
const house = `
state "file" {
  path = "DIR/state"
}
control {
  socket = "DIR/run/control.sock"
}
log {
  level  = "debug"
  format = "json"
}
`

func (d *daemon) path(name string) string { return filepath.Join(d.dir, name) }

func (d *daemon) expand(hcl string) string { return strings.ReplaceAll(hcl, "DIR", d.dir) }

// write puts a file into the daemon's directory, in place as careless programs
// do it.
func (d *daemon) write(t *testing.T, name, content string) {
	t.Helper()
	path := d.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(d.expand(content)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts a file into its place by a rename.
func (d *daemon) replace(t *testing.T, name, content string) {
	t.Helper()
	d.write(t, name+"~", content)
	if err := os.Rename(d.path(name+"~"), d.path(name)); err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) read(name string) string {
	content, _ := os.ReadFile(d.path(name)) // absent is empty
	return string(content)
}

// build makes the App of what is in the directory, and does not run it.
func (d *daemon) build(t *testing.T, paths ...string) {
	t.Helper()
	if len(paths) == 0 {
		paths = []string{d.path("tokend.hcl")}
	}
	a, err := app.New(t.Context(), app.Options{ConfigPaths: paths, Version: "test", LogOutput: d.log})
	if err != nil {
		t.Fatal(err)
	}
	d.app = a
}

// run runs what was built, until stop or the end of the test.
func (d *daemon) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	d.cancel, d.done = cancel, make(chan struct{})
	go func() {
		d.err = d.app.Run(ctx)
		close(d.done)
	}()
	t.Cleanup(func() {
		cancel()
		<-d.done
		if t.Failed() {
			log := d.log.bytes()
			t.Logf("the end of the log:\n%s", log[max(0, len(log)-8000):])
		}
	})
}

// start writes the configuration, builds and runs.
func (d *daemon) start(t *testing.T, hcl string) {
	t.Helper()
	d.write(t, "tokend.hcl", house+hcl)
	d.build(t)
	d.run(t)
}

// stop ends the daemon as SIGTERM does, and returns when it has drained.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.cancel()
	<-d.done
	if d.err != nil {
		t.Errorf("the daemon ended with: %v", d.err)
	}
}

func (d *daemon) status(name string) token.Status {
	for _, s := range d.app.Status().Tokens {
		if s.Name == name {
			return s
		}
	}
	return token.Status{}
}

func (d *daemon) refused() *token.Problem { return d.app.Status().Config.Error }

// delivered tells whether every sink of the token holds this generation or a
// later one.
func (d *daemon) delivered(name string, generation uint64) bool {
	s := d.status(name)
	for _, sink := range s.Sinks {
		if sink.Generation < generation {
			return false
		}
	}
	return s.Generation >= generation
}

func (d *daemon) awaitDelivered(t *testing.T, name string, generation uint64) {
	t.Helper()
	d.await(t, name+" is delivered", func() bool { return d.delivered(name, generation) })
}

// client speaks to the daemon over its socket.
func (d *daemon) client(t *testing.T) *control.Client {
	t.Helper()
	c := control.NewClient(d.path("run/control.sock"))
	t.Cleanup(c.Close)
	return c
}
