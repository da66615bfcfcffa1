package process

import (
	"bytes"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParseCPUSkipsACommandWithParentheses(t *testing.T) {
	got, err := parseCPU("42 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0")
	if err != nil || got != 2*time.Second {
		t.Errorf("parseCPU = %v, %v; want 2s", got, err)
	}
	for _, bad := range []string{"", "42 (x) S 1 2", "42 (x) S 1 2 3 4 5 6 7 8 9 10 a b"} {
		if _, err := parseCPU(bad); err == nil {
			t.Errorf("parseCPU(%q) found a time", bad)
		}
	}
}

func TestChildIsMeasuredAndStopped(t *testing.T) {
	var out bytes.Buffer
	c, err := Start("spinner", &out, filepath.Join(t.TempDir(), "log"), "/bin/sh", "-c", "echo ready; while :; do :; done")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Kill()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		cpu, err := c.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if cpu > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a spinning process spent no CPU time")
		}
	}
	if m, err := c.Memory(); err != nil || m.Total < 100<<10 || m.Total < m.Anonymous {
		t.Errorf("memory %+v, %v", m, err)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	c.Stop(t.Context(), 10*time.Second)
	if out.String() != "ready\n" {
		t.Errorf("stdout was %q", out.String())
	}
	if c.Signal(syscall.Signal(0)) == nil {
		t.Error("the child can still be signalled")
	}
}

func TestCheckShowsTheLogOfAChildThatEnded(t *testing.T) {
	c, err := Start("failing", nil, filepath.Join(t.TempDir(), "log"), "/bin/sh", "-c", "echo no such thing >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	<-c.exited
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Check = %v", err)
	}
	c.Kill()
}

func TestMachineIsDescribed(t *testing.T) {
	if m := Machine(); !strings.Contains(m, "cores") || !strings.Contains(m, "Linux") {
		t.Errorf("Machine = %q", m)
	}
	if load := Load(); !(load >= 0) {
		t.Errorf("Load = %v", load)
	}
	if fs := FileSystem("/proc"); !strings.HasPrefix(fs, "proc ") {
		t.Errorf("FileSystem(/proc) = %q", fs)
	}
}
