// Package process starts the benchmark's processes, measures them from outside
// (proc(5)), and ends exactly those that it started.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Child is a process of ours. It dies with the driver, however that ends.
type Child struct {
	Name    string
	Started time.Time // just before the process was created

	cmd    *exec.Cmd
	log    *os.File
	exited chan struct{}
	err    error // valid once exited is closed
}

// Start runs argv with its log (stderr) in the file logPath. Its stdout goes to
// out, which may be nil. The child has a process group of its own, so that ctrl-c
// at the terminal reaches the driver alone, which then ends its children in order.
func Start(name string, out io.Writer, logPath string, argv ...string) (*Child, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	c := &Child{Name: name, Started: time.Now(), cmd: cmd, log: log, exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", name, err), log.Close())
	}
	go func() {
		c.err = cmd.Wait()
		close(c.exited)
	}()
	return c, nil
}

// PID is the child's process id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Check returns an error with the end of the child's log when it has ended
// although nobody asked it to.
func (c *Child) Check() error {
	select {
	case <-c.exited:
		return fmt.Errorf("%s ended by itself (%v); the end of its log:\n%s", c.Name, c.cmd.ProcessState, c.tail())
	default:
		return nil
	}
}

// Signal sends sig to the child.
func (c *Child) Signal(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("signalling %s: %w", c.Name, err)
	}
	return nil
}

// Stop asks the child to end, kills it when it has not done so within grace, and
// waits for it. It is safe to call for a child that has ended.
func (c *Child) Stop(ctx context.Context, grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-c.exited:
	case <-timer.C:
	case <-ctx.Done():
	}
	c.Kill()
}

// Kill ends the child at once and waits for it. It is safe to call for a child
// that has ended.
func (c *Child) Kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
	_ = c.log.Close()
}

func (c *Child) tail() string {
	content, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return strings.ToValidUTF8(string(content[max(0, len(content)-2000):]), "?")
}
