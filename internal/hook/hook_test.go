package hook_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tokend-project/tokend/internal/hook"
	"github.com/tokend-project/tokend/internal/token"
)

const patience = 10 * time.Second

var update = hook.Update{
	Token:      "operator",
	SinkPaths:  []string{"/run/tokend/a", "/run/tokend/b"},
	ExpiresAt:  time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
	Generation: 7,
}

// A hook that inherits the daemon's environment inherits its secrets.
func TestEnvironmentIsItsOwn(t *testing.T) {
	t.Setenv("TOKEND_CLIENT_SECRET", "canary")
	t.Setenv("HOME", "/home/tokend")
	t.Setenv("LANG", "")
	t.Setenv("PATH", "")
	out := filepath.Join(t.TempDir(), "env")
	run(t, []string{"/bin/sh", "-c", `env >"$0"; pwd >>"$0"`, out})
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(text)), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "PWD=") || strings.HasPrefix(line, "_=") || strings.HasPrefix(line, "SHLVL=") || strings.HasPrefix(line, "OLDPWD=")
	})
	slices.Sort(got)
	want := []string{
		"/",
		"HOME=/home/tokend",
		"LANG=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"TOKEND_EXPIRES_AT=2026-01-02T02:04:05Z",
		"TOKEND_GENERATION=7",
		"TOKEND_SINK_PATH=/run/tokend/a:/run/tokend/b",
		"TOKEND_TOKEN=operator",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the command's environment and directory are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestArgumentsMeetNoShell(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	run(t, []string{"/bin/sh", "-c", `printf %s "$1" >"$0"`, out, "$(id); `id` > x"})
	if text, err := os.ReadFile(out); err != nil || string(text) != "$(id); `id` > x" {
		t.Errorf("the argument arrived as %q, %v", text, err)
	}
}

func TestInputIsEmptyAndNoDescriptorIsInherited(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run(t, []string{"/bin/sh", "-c", `read -r line; test -z "$line" || exit 1; ls -l /proc/$$/fd | grep -q "$0" && exit 2; exit 0`, f.Name()})
}

func TestFailureShowsTheEndOfTheOutput(t *testing.T) {
	for _, test := range []struct {
		name, script string
		want, never  []string
	}{
		{"status and both outputs", `echo one; echo two >&2; exit 3`, []string{"exit status 3", `one\ntwo`}, nil},
		{"terminal sequences are escaped", `printf '\033[2Jboo\n'; exit 1`, []string{`\x1b[2Jboo`}, []string{"\x1b"}},
		{"silence", `exit 1`, []string{"exit status 1"}, []string{"it said"}},
		{"a flood is cut", `i=0; while [ $i -lt 4000 ]; do echo 0123456789; i=$((i+1)); done; echo the end; exit 1`, []string{"the end"}, nil},
		{"a token is struck out", `echo "<canary/+=1>"; echo Y2FuYXJ5Lys9MQ==; echo canary%2F%2B%3D1; exit 1`, []string{"<[redacted]>"}, []string{"canary", "Y2FuYXJ5"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			u := update
			u.Conceal = func() []token.Secret { return []token.Secret{token.NewSecret("canary/+=1"), {}} }
			err := newCommand(t, []string{"sh", "-c", test.script}, 0).Run(t.Context(), u)
			if err == nil {
				t.Fatal("Run returned nil")
			}
			if len(err.Error()) > 3*4096 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
			for _, s := range test.want {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("the error %.500q lacks %q", err, s)
				}
			}
			for _, s := range test.never {
				if strings.Contains(err.Error(), s) {
					t.Errorf("the error %.500q holds %q", err, s)
				}
			}
		})
	}
}

// Where the output is cut, half a token must not remain.
func TestCutLeavesNoPartOfASecret(t *testing.T) {
	secret := strings.Repeat("canary", 200)
	u := update
	u.Conceal = func() []token.Secret { return []token.Secret{token.NewSecret(secret)} }
	for _, filler := range []int{1, 7, 101} {
		script := `i=0; while [ $i -lt 300 ]; do printf %s "$1$2"; i=$((i+1)); done; exit 1`
		err := newCommand(t, []string{"sh", "-c", script, "sh", secret, strings.Repeat("x", filler)}, 0).Run(t.Context(), u)
		if err == nil {
			t.Fatal("Run returned nil")
		}
		if strings.Contains(err.Error(), "ana") {
			t.Errorf("with %d bytes between, a part of the secret is in the error", filler)
		}
	}
}

func TestTimeoutEndsTheWholeProcessGroup(t *testing.T) {
	for _, test := range []struct{ name, script string }{
		{"obedient", `echo $$ >"$0"; sleep 600 & echo $! >>"$0"; wait`},
		{"deaf to SIGTERM", `trap '' TERM; echo $$ >"$0"; sh -c 'trap "" TERM; sleep 600' & echo $! >>"$0"; wait; wait; sleep 600`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pids := filepath.Join(t.TempDir(), "pids")
			started := time.Now()
			err := newCommand(t, []string{"/bin/sh", "-c", test.script, pids}, 500*time.Millisecond).Run(t.Context(), update)
			if err == nil || !strings.Contains(err.Error(), "longer than 500ms") {
				t.Errorf("Run: %v; want the timeout", err)
			}
			if took := time.Since(started); took > patience {
				t.Errorf("Run took %s", took)
			}
			text, err := os.ReadFile(pids)
			if err != nil {
				t.Fatal(err)
			}
			for pid := range strings.FieldsSeq(string(text)) {
				n, err := strconv.Atoi(pid)
				if err != nil {
					t.Fatal(err)
				}
				awaitDeath(t, n)
			}
		})
	}
}

func TestShutdownEndsTheCommand(t *testing.T) {
	cause := errors.New("the daemon stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(cause) })
	if err := newCommand(t, []string{"sleep", "600"}, 0).Run(ctx, update); !errors.Is(err, cause) {
		t.Errorf("Run: %v; want the cause of the cancellation", err)
	}
}

// A daemon that a hook starts holds its output open for ever.
func TestBackgroundProcessDoesNotHangTheHook(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	started := time.Now()
	run(t, []string{"/bin/sh", "-c", `sleep 600 & echo $! >"$0"`, pidFile})
	if took := time.Since(started); took > patience {
		t.Errorf("Run took %s", took)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Errorf("what a hook started was killed although the hook succeeded: %v", err)
	}
}

func TestCommandsThatCannotRun(t *testing.T) {
	for _, argv := range [][]string{nil, {""}, {"./relative"}, {"bin/relative"}, {"echo", "a\x00b"}} {
		if _, err := hook.New(argv, 0, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("New(%q) returned nil", argv)
		}
	}
	if _, err := hook.New([]string{"true"}, -1, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("New with a negative timeout returned nil")
	}
	err := newCommand(t, []string{"/no/such/command"}, 0).Run(t.Context(), update)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Run: %v; want that the command is missing", err)
	}
}

func run(t *testing.T, argv []string) {
	t.Helper()
	if err := newCommand(t, argv, 0).Run(t.Context(), update); err != nil {
		t.Fatal(err)
	}
}

func newCommand(t *testing.T, argv []string, timeout time.Duration) *hook.Command {
	t.Helper()
	c, err := hook.New(argv, timeout, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitDeath waits until a process is gone or a zombie that nobody reaps.
func awaitDeath(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			return
		}
		if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "Z") {
			return
		}
	}
	t.Errorf("process %d lives on", pid)
}
