package tokend

import (
	"bytes"
	"context"
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

// Build builds the command into a directory and returns the path of the binary.
// root is the directory of the module.
func Build(root, dir string) (string, error) {
	bin := filepath.Join(dir, "tokend")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", bin, "./cmd/tokend")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return bin, nil
}

// Daemon is a place for a daemon, and the daemon that runs there.
type Daemon struct {
	*Process    // nil before Run
	Bin, Dir    string
	Socket      string
	Environment []string // beside that of the test
}

// Status is what `tokend status --output json` says, as far as tests ask.
type Status struct {
	Config struct {
		LoadedAt time.Time      `json:"loaded_at"`
		Error    *token.Problem `json:"error"`
	} `json:"config"`
	Tokens []token.Status `json:"tokens"`
}

// New makes a place for a daemon, and starts nothing.
func New(t testing.TB, bin string) *Daemon {
	t.Helper()
	// A unix socket's path is short, so t.TempDir will not do.
	dir, err := os.MkdirTemp("", "tokend-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return &Daemon{Bin: bin, Dir: dir, Socket: filepath.Join(dir, "run", "control.sock")}
}

// Configure replaces the config file as an editor does. In hcl, DIR stands for
// the daemon's directory.
func (d *Daemon) Configure(t testing.TB, hcl string) {
	t.Helper()
	text := strings.ReplaceAll(hcl, "DIR", d.Dir)
	fresh := d.Config() + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, d.Config()); err != nil {
		t.Fatal(err)
	}
}

// Config is the path of the config file.
func (d *Daemon) Config() string { return filepath.Join(d.Dir, "tokend.hcl") }

// State is the directory for a state in files, DIR/state.
func (d *Daemon) State() string { return filepath.Join(d.Dir, "state") }

// File is the path of a file below DIR/out.
func (d *Daemon) File(name string) string { return filepath.Join(d.Dir, "out", name) }

// Content is that of File(name).
func (d *Daemon) Content(name string) string { return Content(d.File(name)) }

// Content is empty when there is no file.
func Content(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}

// Run starts the daemon; it may be run again when it has ended.
func (d *Daemon) Run(t testing.TB) {
	t.Helper()
	d.Process = Start(t, "tokend", d.Bin, "run", "--config", d.Config())
}

// Command runs one of tokend's commands against the daemon, and returns its
// standard output.
func (d *Daemon) Command(t testing.TB, args ...string) (string, error) {
	t.Helper()
	return d.Offline(t, append(args, "--socket", d.Socket)...)
}

// Offline runs a command that asks no daemon. Its error has what the command
// wrote to standard error.
func (d *Daemon) Offline(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), d.Bin, args...)
	cmd.Env = append(os.Environ(), d.Environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	if err != nil {
		return string(stdout), fmt.Errorf("tokend %s: %w: %s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(stdout), nil
}

// Status is empty while the daemon does not answer.
func (d *Daemon) Status(t testing.TB) Status {
	t.Helper()
	var s Status
	// The exit code speaks of the tokens; the answer is there whatever it says.
	if out, _ := d.Command(t, "status", "--output", "json"); out != "" {
		if err := json.Unmarshal([]byte(out), &s); err != nil {
			t.Fatalf("read the status: %v\n%s", err, out)
		}
	}
	return s
}

// Of is the status of one token.
func (s Status) Of(name string) token.Status {
	i := slices.IndexFunc(s.Tokens, func(t token.Status) bool { return t.Name == name })
	if i < 0 {
		return token.Status{}
	}
	return s.Tokens[i]
}

// Until waits for a token's status, and returns it.
func (d *Daemon) Until(t testing.TB, within time.Duration, name, what string, condition func(token.Status) bool) token.Status {
	t.Helper()
	var last token.Status
	defer func() {
		if t.Failed() {
			t.Logf("status of %s: %+v", name, last)
		}
	}()
	Await(t, within, name+" "+what, func() bool {
		if !d.Running() {
			t.Fatalf("tokend has ended with exit code %d", d.Cmd.ProcessState.ExitCode())
		}
		last = d.Status(t).Of(name)
		return condition(last)
	})
	return last
}

// UntilGeneration waits until a token has reached a generation.
func (d *Daemon) UntilGeneration(t testing.TB, within time.Duration, name string, generation uint64) token.Status {
	t.Helper()
	return d.Until(t, within, name, fmt.Sprintf("reaches generation %d", generation),
		func(s token.Status) bool { return s.Generation >= generation })
}

// LostAnswers is how many attempts for a token ended with nobody knowing what
// the server had done: on a starved machine one may time out. Each is a reason
// for one login, and there is no other.
func (d *Daemon) LostAnswers(name string) uint64 {
	var n uint64
	for line := range bytes.Lines(d.Log.Bytes()) {
		var record struct{ Token, Class string }
		if json.Unmarshal(line, &record) == nil && record.Token == name && record.Class == token.Ambiguous.String() {
			n++
		}
	}
	return n
}

// Stop ends the daemon as an init system does.
func (d *Daemon) Stop(t testing.TB) {
	t.Helper()
	d.Signal(t, syscall.SIGTERM)
	if code := d.Exit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d after SIGTERM", code)
	}
}
