package remotebench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// bareClient is a running test/remotebench/bare.
type bareClient struct {
	cmd  *exec.Cmd
	ask  io.WriteCloser
	done *bufio.Reader
	cold time.Duration // from its start until every place was filled
}

// startBare returns when every place is filled.
func startBare(b *testing.B, binary string, r room) *bareClient {
	b.Helper()
	c := &bareClient{cmd: exec.Command(binary, append(r.bare, "-places", fmt.Sprint(places), "-in-flight", fmt.Sprint(inFlight))...)}
	c.cmd.Env = append(os.Environ(), r.env...)
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if c.ask, err = c.cmd.StdinPipe(); err != nil {
		b.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	c.done = bufio.NewReader(out)
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	c.await(b)
	c.cold = time.Since(began)
	return c
}

// fill has every place written anew.
func (c *bareClient) fill(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	if _, err := io.WriteString(c.ask, "\n"); err != nil {
		b.Fatal(err)
	}
	c.await(b)
	return time.Since(began)
}

func (c *bareClient) await(b *testing.B) {
	b.Helper()
	if _, err := c.done.ReadString('\n'); err != nil {
		b.Fatalf("the bare client ended: %v", err)
	}
}

func (c *bareClient) stop(b *testing.B) {
	b.Helper()
	_ = c.ask.Close()
	if err := c.cmd.Wait(); err != nil {
		b.Errorf("the bare client ended: %v", err)
	}
}

// build makes a program of this module.
func build(b *testing.B, of string) (binary string) {
	b.Helper()
	binary = filepath.Join(b.TempDir(), filepath.Base(of))
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", binary, of)
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building %s: %v\n%s", of, err, out)
	}
	return binary
}
