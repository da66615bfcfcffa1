package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a server that writes its output into a file and does not outlive
// the process that started it, however that ends.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it is gone
}

func startProcess(dir, name, bin string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", name, err)
	}
	defer func() { _ = log.Close() }() // the child has its own
	p := &process{name: name, log: log.Name(), done: make(chan struct{})}
	// Its end is asked for by kill, and comes with the parent's in any case.
	p.cmd = exec.CommandContext(context.Background(), bin, args...)
	p.cmd.Dir = dir
	p.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go p.parent(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// parent keeps the thread that the child is bound to: the parent-death signal
// comes when that thread ends, not the process.
func (p *process) parent(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = p.cmd.Wait() // killed is how it is meant to end
	close(p.done)
}

// kill is kill -9, and returns when the process is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // already gone is as good
	<-p.done
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail returns the last of what it wrote.
func (p *process) tail() []byte {
	const enough = 4000
	content, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Appendf(nil, "(no log: %v)", err)
	}
	return bytes.TrimSpace(content[max(0, len(content)-enough):])
}

// pause waits a little between two looks at another process, for which there is
// no event to wait for.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(20 * time.Millisecond):
		return nil
	}
}
