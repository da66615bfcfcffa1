package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// daemon is tokend as a user runs it: a config file, a state directory, a
// control socket, and a directory for what it writes.
type daemon struct {
	*process
	bin, dir, socket string
}

// status is what `tokend status --output json` says, as far as tests ask.
type status struct {
	Config struct {
		Error *token.Problem `json:"error"`
	} `json:"config"`
	Tokens []token.Status `json:"tokens"`
}

// newDaemon makes a place for a daemon whose config is house followed by hcl,
// and starts nothing. In hcl, DIR stands for the daemon's directory.
func newDaemon(t *testing.T, hcl string) *daemon {
	t.Helper()
	d := placeDaemon(t)
	d.socket = filepath.Join(d.dir, "run", "control.sock")
	d.configure(t, house+hcl)
	return d
}

// placeDaemon leaves the config, and where the socket is, to the caller.
func placeDaemon(t *testing.T) *daemon {
	t.Helper()
	// A unix socket's path is short, so t.TempDir will not do.
	d := &daemon{bin: must(lab.tokend())(t), dir: must(os.MkdirTemp("", "tokend-"))(t)}
	t.Cleanup(func() { _ = os.RemoveAll(d.dir) })
	return d
}

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

func (d *daemon) configure(t *testing.T, hcl string) {
	t.Helper()
	text := strings.ReplaceAll(hcl, "DIR", d.dir)
	fresh := d.config() + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, d.config()); err != nil {
		t.Fatal(err)
	}
}

func (d *daemon) config() string          { return filepath.Join(d.dir, "tokend.hcl") }
func (d *daemon) state() string           { return filepath.Join(d.dir, "state") }
func (d *daemon) file(name string) string { return filepath.Join(d.dir, "out", name) }

func (d *daemon) content(name string) string { return contentOf(d.file(name)) }

// contentOf is empty when there is no file.
func contentOf(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}

// run starts the daemon; it may be run again when it has ended.
func (d *daemon) run(t *testing.T) {
	t.Helper()
	d.process = start(t, "tokend", d.bin, "run", "--config", d.config())
}

// command runs one of tokend's commands against the daemon.
func (d *daemon) command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), d.bin, append(args, "--socket", d.socket)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return string(stdout), fmt.Errorf("tokend %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(stdout), nil
}

// status is empty while the daemon does not answer.
func (d *daemon) status(t *testing.T) status {
	t.Helper()
	var s status
	// The exit code speaks of the tokens; the answer is there whatever it says.
	if out, _ := d.command(t, "status", "--output", "json"); out != "" {
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatalf("read the status: %v\n%s", err, out)
		}
	}
	return s
}

func (s status) of(name string) token.Status {
	i := slices.IndexFunc(s.Tokens, func(t token.Status) bool { return t.Name == name })
	if i < 0 {
		return token.Status{}
	}
	return s.Tokens[i]
}

// until waits for a token's status, and returns it.
func (d *daemon) until(t *testing.T, within time.Duration, name, what string, condition func(token.Status) bool) token.Status {
	t.Helper()
	var last token.Status
	defer func() {
		if t.Failed() {
			t.Logf("status of %s: %+v", name, last)
		}
	}()
	await(t, within, name+" "+what, func() bool {
		if !d.running() {
			t.Fatalf("tokend has ended with exit code %d", d.cmd.ProcessState.ExitCode())
		}
		last = d.status(t).of(name)
		return condition(last)
	})
	return last
}

func (d *daemon) untilGeneration(t *testing.T, within time.Duration, name string, generation uint64) token.Status {
	t.Helper()
	return d.until(t, within, name, fmt.Sprintf("reaches generation %d", generation),
		func(s token.Status) bool { return s.Generation >= generation })
}

// lostAnswers is how many attempts for a token ended with nobody knowing what
// the server had done: on a starved machine one may time out. Each is a reason
// for one login, and there is no other.
func (d *daemon) lostAnswers(name string) uint64 {
	var n uint64
	for line := range bytes.Lines(d.log.bytes()) {
		var record struct{ Token, Class string }
		if json.Unmarshal(line, &record) == nil && record.Token == name && record.Class == token.Ambiguous.String() {
			n++
		}
	}
	return n
}

// stop ends the daemon as an init system does.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	d.signal(t, syscall.SIGTERM)
	if code := d.exit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}

// keepsSecrets fails when a secret is in the log, although it is a debug log.
func (d *daemon) keepsSecrets(t *testing.T, v verdict, secrets ...string) {
	t.Helper()
	log := d.log.bytes()
	for accessToken := range v.tokens {
		secrets = append(secrets, accessToken)
	}
	for _, secret := range secrets {
		if secret != "" && bytes.Contains(log, []byte(secret)) {
			t.Error("a secret is in the log")
		}
	}
}
