// Package hook runs the command of a token's on_update block.
//
// The command is an argument vector and never a shell's line. It gets a small
// environment of its own, since the daemon's may hold secrets, and learns what
// happened from four variables, none of which is a secret: the token is in the
// sink, for those who may read it.
package hook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	defaultTimeout = 30 * time.Second
	defaultPath    = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	grace          = 2 * time.Second // between SIGTERM and SIGKILL
)

// Command is a command to run after an update. It is immutable and safe for
// concurrent use.
type Command struct {
	argv    []string
	timeout time.Duration
	logger  *slog.Logger
}

// Update is what a command is told.
type Update struct {
	Token      string   // the token's name
	SinkPaths  []string // the files that hold it
	ExpiresAt  time.Time
	Generation uint64

	// Conceal returns secrets that are struck out of the command's output before
	// that goes into an error: a command may well print the file it was called
	// for. It is asked again when the command has ended. Nil for none.
	Conceal func() []token.Secret
}

// New checks the argument vector. A timeout of 0 stands for 30 s. A command
// without a slash is looked up in PATH at every run; one with a slash must be
// absolute, because it runs in "/".
func New(argv []string, timeout time.Duration, logger *slog.Logger) (*Command, error) {
	switch {
	case len(argv) == 0 || argv[0] == "":
		return nil, errors.New("the command of a hook is empty")
	case strings.Contains(argv[0], "/") && !filepath.IsAbs(argv[0]):
		return nil, fmt.Errorf("the command %q of a hook must be absolute or a bare name, since it runs in the root directory", argv[0])
	case timeout < 0:
		return nil, fmt.Errorf("the timeout %s of a hook is negative", timeout)
	}
	for _, arg := range argv {
		if strings.ContainsRune(arg, 0) {
			return nil, errors.New("an argument of a hook holds a NUL character")
		}
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return &Command{append([]string(nil), argv...), timeout, logger}, nil
}

// Run runs the command to its end and returns nil when it exited with 0. The
// error holds the end of the command's output, escaped and at most 4 KiB of it.
//
// At the timeout, or when ctx is done, the command's process group gets SIGTERM,
// and 2 s later SIGKILL. A process that the command left behind in the background
// does not delay Run by more than these 2 s, whatever it holds open.
func (c *Command) Run(ctx context.Context, u Update) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("it took longer than %s", c.timeout))
	defer cancel()
	out := newTail(u.Conceal)
	cmd := c.command(ctx, u, out)
	started := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		// The leader is gone; whoever of its group ignored SIGTERM is not.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	switch {
	case errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		c.logger.Debug("a hook's command left a process behind that holds its output open", "token", u.Token)
		err = nil
	case err != nil && ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("run the hook %q: %w%s", c.argv[0], err, out.words())
	}
	c.logger.Debug("a hook's command ran", "token", u.Token, "generation", u.Generation, "took", time.Since(started))
	return nil
}

func (c *Command) command(ctx context.Context, u Update, out *tail) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = environment(u)
	cmd.Stdout, cmd.Stderr = out, out // one writer, so one pipe, and nothing out of order
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace
	return cmd
}

// environment is all that the command inherits.
func environment(u Update) []string {
	return []string{
		"PATH=" + inherited("PATH", defaultPath),
		"HOME=" + inherited("HOME", "/"),
		"LANG=" + inherited("LANG", "C.UTF-8"),
		"TOKEND_TOKEN=" + u.Token,
		"TOKEND_SINK_PATH=" + strings.Join(u.SinkPaths, ":"),
		"TOKEND_EXPIRES_AT=" + u.ExpiresAt.UTC().Format(time.RFC3339),
		"TOKEND_GENERATION=" + strconv.FormatUint(u.Generation, 10),
	}
}

func inherited(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
