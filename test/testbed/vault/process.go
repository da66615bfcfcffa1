package vault

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// listening is where a server says that it listens, as host:port.
type listening struct{ Address, Control string }

// process is a running server. It ends with its standard input, and so with
// the process that started it, however that ends.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	log   string
	at    listening
	done  chan struct{} // closed when it is gone
}

const listensWithin = 30 * time.Second

func startProcess(dir, bin string, args ...string) (*process, error) {
	log, err := os.OpenFile(filepath.Join(dir, "vault.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open Vault's log: %w", err)
	}
	defer func() { _ = log.Close() }()
	p := &process{log: log.Name(), done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.Background(), bin, args...)
	p.cmd.Env = []string{"HOME=" + dir, "TMPDIR=" + dir} // no VAULT_ variable of the user's
	p.cmd.Stderr = log
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start Vault: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start Vault: %w", err)
	}
	defer func() { _ = out.Close() }()
	p.cmd.Stdout = in
	err = p.cmd.Start()
	_ = in.Close()
	if err != nil {
		return nil, fmt.Errorf("start Vault: %w", err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended stands in the log
		close(p.done)
	}()
	return p, p.listens(out)
}

// listens waits for the line that says where the server listens.
func (p *process) listens(out *os.File) error {
	_ = out.SetReadDeadline(time.Now().Add(listensWithin))
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.at)
	}
	if err != nil {
		p.kill()
		return fmt.Errorf("start Vault: %w: %s", err, p.tail())
	}
	return nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill() // already gone is as good
	<-p.done
	_ = p.stdin.Close()
}

// tail returns the last of what the server logged.
func (p *process) tail() []byte {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return []byte(err.Error())
	}
	return bytes.TrimSpace(content[max(0, len(content)-2000):])
}
