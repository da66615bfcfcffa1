package file

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	killKills   = 20
	killWriters = 4
	killEnv     = "TOKEND_TEST_STATE_DIR"
)

// TestKilledAtAnyMoment kills a process that saves counters, and asks what it
// had been told was durable.
func TestKilledAtAnyMoment(t *testing.T) {
	dir := newDir(t)
	acknowledged := make(map[string]uint64)
	for range killKills {
		readUntilKilled(t, dir, acknowledged)
		s := mustOpen(t, Options{Dir: dir, Key: testKey})
		for name, want := range acknowledged {
			r, err := s.Load(t.Context(), name)
			if err != nil || r.Generation < want || r.Generation > want+1 {
				t.Fatalf("%s: generation %d (%v) after the acknowledgement of %d", name, r.Generation, err, want)
			}
			acknowledged[name] = r.Generation // what the next writer begins with
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(acknowledged) < killWriters {
		t.Fatalf("only %d of %d writers were ever acknowledged", len(acknowledged), killWriters)
	}
}

// readUntilKilled runs a writer for a random moment and notes what it says.
func readUntilKilled(t *testing.T, dir string, acknowledged map[string]uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$")
	cmd.Env = append(os.Environ(), killEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var kill *time.Timer
	for lines.Scan() {
		if kill == nil { // counts from the first sign of life
			kill = time.AfterFunc(rand.N(40*time.Millisecond), func() { _ = cmd.Process.Kill() })
		}
		name, count, _ := strings.Cut(lines.Text(), " ")
		if n, err := strconv.ParseUint(count, 10, 64); err == nil {
			acknowledged[name] = n
		}
	}
	if err := cmd.Wait(); err == nil || kill == nil {
		t.Fatalf("the writer ended by itself: %v", err)
	}
}

// TestWriterProcess is the process that is killed; it is no test.
func TestWriterProcess(t *testing.T) {
	dir := os.Getenv(killEnv)
	if dir == "" {
		t.Skip("runs as a child of TestKilledAtAnyMoment")
	}
	s := mustOpen(t, Options{Dir: dir, Key: testKey})
	var all sync.WaitGroup
	for w := range killWriters {
		all.Go(func() {
			name := fmt.Sprintf("counter-%d", w)
			r, _ := s.Load(context.Background(), name)
			for n := r.Generation + 1; ; n++ {
				mustSave(t, s, name, n)
				// One write call a line, so that a kill leaves no half of one.
				if _, err := fmt.Fprintf(os.Stdout, "%s %d\n", name, n); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
}
