package image

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tokend-project/tokend/test/testbed"
)

// Mount is a directory of the machine that a container sees.
type Mount struct {
	Source   string
	Target   string
	ReadOnly bool
}

// Container is an image that is about to run.
type Container struct {
	Image  *Image
	Args   []string // after the entrypoint; nil: the image's own
	Env    []string // the whole environment
	Mounts []Mount  // parents before children
	Groups []uint32 // supplementary
}

// NeedRoot skips a test that runs containers where this process may not; with
// CI=true that is a failure.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	testbed.Missing(t, "an empty root, another user and a read-only mount need root")
}

// Process is a container that runs, or has run.
type Process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{}
}

// Start runs the container until it ends, or the test does.
func (c Container) Start(t testing.TB) *Process {
	t.Helper()
	NeedRoot(t)
	args := c.Args
	if args == nil {
		args = c.Image.Cmd
	}
	return c.start(t, append(append([]string{}, c.Image.Entrypoint...), args...))
}

// Run runs the container to its end and returns its output and exit code.
func (c Container) Run(t testing.TB) (string, int) {
	t.Helper()
	p := c.Start(t)
	code := p.Wait(t, time.Minute)
	return p.Output(), code
}

// Healthy runs the image's health check beside a container, as an engine does.
func (c Container) Healthy(t testing.TB) (string, int) {
	t.Helper()
	p := c.start(t, c.Image.Healthcheck)
	code := p.Wait(t, time.Minute)
	return p.Output(), code
}

func (c Container) start(t testing.TB, command []string) *Process {
	t.Helper()
	for _, m := range c.Mounts {
		if err := os.MkdirAll(c.Image.Root+m.Target, 0o755); err != nil { //nolint:gosec // as an engine does
			t.Fatal(err)
		}
	}
	p := &Process{done: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path: command[0], Args: command, Env: append([]string{}, c.Env...), Dir: "/",
		Stdout: &p.out, Stderr: &p.out,
		SysProcAttr: &syscall.SysProcAttr{
			Chroot:     c.Image.Root,
			Credential: &syscall.Credential{Uid: c.Image.UID, Gid: c.Image.GID, Groups: c.Groups},
			Pdeathsig:  syscall.SIGKILL,
		},
	}
	started := make(chan error)
	go p.parent(c, started)
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", strings.Join(command, " "), err)
	}
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("%s:\n%s", strings.Join(command, " "), p.Output())
		}
	})
	return p
}

// parent gives its thread a view of the file system of its own, which the child
// inherits, and keeps the thread as long as the child lives. It never unlocks it,
// so that the thread ends with the goroutine.
func (p *Process) parent(c Container, started chan<- error) {
	runtime.LockOSThread()
	err := c.isolate()
	if err == nil {
		// exec.Cmd looks for the program before it changes the root.
		err = p.cmd.Start()
	}
	started <- err
	if err != nil {
		return
	}
	_ = p.cmd.Wait() // the exit code is read from the process state
	close(p.done)
}

func (c Container) isolate() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("take a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts to ourselves: %w", err)
	}
	root := c.Image.Root
	if err := bind(root, root, true); err != nil {
		return err
	}
	for _, m := range c.Mounts {
		if err := bind(m.Source, filepath.Join(root, m.Target), m.ReadOnly); err != nil {
			return err
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

func bind(source, target string, readOnly bool) error {
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s at %s: %w", source, target, err)
	}
	flags := uintptr(unix.MS_BIND | unix.MS_REMOUNT | unix.MS_NOSUID | unix.MS_NODEV)
	if readOnly {
		flags |= unix.MS_RDONLY
	}
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		return fmt.Errorf("restrict the mount at %s: %w", target, err)
	}
	return nil
}

// Signal sends a signal, and ignores that the process is gone.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Kill is kill -9, and returns when the process is gone.
func (p *Process) Kill() {
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Wait returns the exit code, -1 after a signal.
func (p *Process) Wait(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("it still runs after %v:\n%s", within, p.Output())
		return -1
	}
}

// Await returns when a condition on the output holds.
func (p *Process) Await(t testing.TB, within time.Duration, what string, holds func(output string) bool) {
	t.Helper()
	deadline := time.After(within)
	for {
		changed := p.out.changes()
		if holds(p.Output()) {
			return
		}
		select {
		case <-changed:
		case <-p.done:
			if !holds(p.Output()) {
				t.Fatalf("it ended with %d before %s:\n%s", p.cmd.ProcessState.ExitCode(), what, p.Output())
			}
			return
		case <-deadline:
			t.Fatalf("waited %v in vain until %s:\n%s", within, what, p.Output())
		}
	}
}

// Output is all that the process wrote so far.
func (p *Process) Output() string { return p.out.String() }

// Running says whether the process lives.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	waiting chan struct{}
}

func (o *output) Write(content []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting != nil {
		close(o.waiting)
		o.waiting = nil
	}
	return o.buf.Write(content)
}

// changes is closed at the next write.
func (o *output) changes() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting == nil {
		o.waiting = make(chan struct{})
	}
	return o.waiting
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
