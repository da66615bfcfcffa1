package tokend

import (
	"bytes"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a child whose output is kept and which does not outlive its test.
type Process struct {
	Cmd   *exec.Cmd
	Stdin io.WriteCloser
	Log   *Output // standard output and standard error

	name string
	done chan struct{} // closed when the child is gone
}

// Start starts a program. The name is what failures call it.
func Start(t testing.TB, name, bin string, args ...string) *Process {
	t.Helper()
	p := &Process{name: name, Cmd: exec.CommandContext(t.Context(), bin, args...), Log: &Output{}, done: make(chan struct{})}
	p.Cmd.Stdout, p.Cmd.Stderr = p.Log, p.Log
	p.Cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if p.Stdin, err = p.Cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.Cmd.Wait() // the exit code is read from the process state
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("the last output of %s:\n%s", name, p.Log.Tail(12_000))
		}
	})
	return p
}

// Kill is kill -9, and returns when the process is gone.
func (p *Process) Kill() {
	_ = p.Cmd.Process.Kill() // already gone is as good
	<-p.done
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.Cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", p.name, err)
	}
}

// Exit waits for the process to end by itself and returns its exit code.
func (p *Process) Exit(t testing.TB, within time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.Cmd.ProcessState.ExitCode()
	case <-time.After(within):
		t.Fatalf("%s still runs after %v", p.name, within)
		return -1
	}
}

// Running reports whether the process has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Output keeps everything that a process wrote. It may be read while the process
// writes.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

// Bytes returns all of it.
func (o *Output) Bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.buf.Bytes())
}

// Tail returns the last n bytes at most.
func (o *Output) Tail(n int) []byte {
	all := o.Bytes()
	return all[max(0, len(all)-n):]
}

// Await polls until the condition holds. What it polls is another process, so
// there is no event to wait for.
func Await(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
