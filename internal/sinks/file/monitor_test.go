package file_test

import (
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

// TestForeignChangeIsNoticed takes the ways in which others change a file or its
// directory, each in a place of its own.
func TestForeignChangeIsNoticed(t *testing.T) {
	for _, test := range foreignChanges {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			noticesChange(t, test.change)
		})
	}
}

var foreignChanges = []struct {
	name   string
	change func(t *testing.T, path string)
}{
	{"deleted", func(t *testing.T, path string) { must(t, os.Remove(path)) }},
	{"truncated", func(t *testing.T, path string) { must(t, os.Truncate(path, 3)) }},
	{"edited in place with the old times", func(t *testing.T, path string) {
		info, err := os.Stat(path)
		must(t, err)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteAt([]byte("X"), 5)
		must(t, err)
		must(t, f.Close())
		must(t, os.Chtimes(path, info.ModTime(), info.ModTime()))
	}},
	{"replaced by an editor's rename", func(t *testing.T, path string) {
		must(t, os.WriteFile(path+"~", []byte("edited"), 0o600))
		must(t, os.Rename(path+"~", path))
	}},
	{"replaced by a link", func(t *testing.T, path string) {
		must(t, os.Remove(path))
		must(t, os.Symlink("/dev/null", path))
	}},
	{"opened to the world", func(t *testing.T, path string) { must(t, os.Chmod(path, 0o644)) }},
	{"renamed", func(t *testing.T, path string) { must(t, os.Rename(path, path+".bak")) }},
	{"directory deleted", func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) }},
	{"directory deleted and made anew", func(t *testing.T, path string) {
		must(t, os.RemoveAll(filepath.Dir(path)))
		must(t, os.Mkdir(filepath.Dir(path), 0o700))
	}},
	{"directory renamed", func(t *testing.T, path string) {
		must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".old"))
	}},
	{"parent of the directory renamed", func(t *testing.T, path string) {
		parent := filepath.Dir(filepath.Dir(path))
		must(t, os.Rename(parent, parent+".old"))
	}},
}

func noticesChange(t *testing.T, change func(t *testing.T, path string)) {
	path := filepath.Join(t.TempDir(), "a", "b", "token")
	s := newSink(t, file.Options{Path: path, Monitor: runMonitor(t)})
	drift := make(chan struct{}, 1)
	stop, err := s.Watch(func() {
		select {
		case drift <- struct{}{}:
		default:
		}
	})
	must(t, err)
	defer stop()
	changes(t, s, 3)
	changes(t, s, 2)
	changes(t, s, 1)
	for range 2 { // the watch must outlive the repair
		change(t, path)
		select {
		case <-drift:
		case <-time.After(sinktest.Patience):
			t.Fatal("the change was not noticed")
		}
		changes(t, s, 1)
		contains(t, path, sinktest.Token(1).AccessToken.Reveal())
		must(t, os.RemoveAll(filepath.Dir(filepath.Dir(path))+".old"))
		must(t, os.RemoveAll(filepath.Dir(path)+".old"))
	}
}

const watchVariable = "TOKEND_TEST_WATCHES"

// fs.inotify's limits are reached sooner or later on a busy machine: the files are
// looked at then, and the log says so once.
func TestWatchesAreUsedUp(t *testing.T) {
	if os.Getenv(watchVariable) != "" {
		pollsInstead(t)
		return
	}
	for _, call := range []string{"instances", "watches"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWatchesAreUsedUp$", "-test.v")
			cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", watchVariable+"="+call)
			out, err := cmd.CombinedOutput()
			if strings.Contains(string(out), "--- SKIP") {
				t.Skipf("no system call can be made to fail here: %s", out)
			}
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func pollsInstead(t *testing.T) {
	nr, errno := uint32(unix.SYS_INOTIFY_ADD_WATCH), syscall.ENOSPC
	if os.Getenv(watchVariable) == "instances" {
		nr, errno = unix.SYS_INOTIFY_INIT1, syscall.EMFILE
	}
	if err := failCall(nr, errno); err != nil {
		t.Skip(err)
	}
	log := &lines{}
	m, err := file.NewMonitor(slog.New(slog.NewTextHandler(log, nil)))
	must(t, err)
	runs(t, m)
	dir := t.TempDir()
	drift := make(chan struct{}, 1)
	var all []*file.Sink
	for n := range 3 {
		s := newSink(t, file.Options{Path: filepath.Join(dir, fmt.Sprint(n), "token"), Monitor: m})
		changes(t, s, 1)
		stop, err := s.Watch(func() {
			select {
			case drift <- struct{}{}:
			default:
			}
		})
		must(t, err)
		defer stop()
		all = append(all, s)
	}
	must(t, os.Remove(all[1].Path()))
	select {
	case <-drift:
	case <-time.After(sinktest.Patience):
		t.Fatal("the change was not noticed")
	}
	if n := strings.Count(log.String(), "no more file watches"); n != 1 {
		t.Errorf("the log says %d times that files are polled:\n%s", n, log)
	}
}

// A sink that was reloaded away must not repair any more.
func TestStoppedWatchIsSilent(t *testing.T) {
	dir := t.TempDir()
	m := runMonitor(t)
	var heard [2]chan struct{}
	var sinks [2]*file.Sink
	var stops [2]func()
	for n := range sinks {
		heard[n] = make(chan struct{}, 100)
		sinks[n] = newSink(t, file.Options{Path: filepath.Join(dir, fmt.Sprint(n)), Monitor: m})
		changes(t, sinks[n], 1)
		stop, err := sinks[n].Watch(func() { heard[n] <- struct{}{} })
		must(t, err)
		stops[n] = stop
	}
	stops[0]()
	stops[0]()
	must(t, os.Remove(sinks[0].Path()))
	for range 2 { // the second look comes after the first is over
		must(t, os.Remove(sinks[1].Path()))
		<-heard[1]
		changes(t, sinks[1], 1)
	}
	stops[1]()
	if len(heard[0]) != 0 {
		t.Error("a stopped watch was called")
	}
}

// Somebody who rewrites a file in a loop must not make a tight loop of the
// repairs: drift is called ten times a second at most.
func TestFightIsNoTightLoop(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	s := newSink(t, file.Options{Path: path, Monitor: runMonitor(t)})
	changes(t, s, 1)
	var mu sync.Mutex
	var times []time.Time
	enough := make(chan struct{})
	stop, err := s.Watch(func() {
		mu.Lock()
		defer mu.Unlock()
		if times = append(times, time.Now()); len(times) == 4 {
			close(enough)
		}
	})
	must(t, err)
	defer stop()
	for fighting := true; fighting; {
		must(t, os.WriteFile(path, []byte("mine"), 0o600))
		select {
		case <-enough:
			fighting = false
		case <-time.After(time.Millisecond):
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if took := times[3].Sub(times[0]); took < 250*time.Millisecond {
		t.Errorf("four calls of drift in %s", took)
	}
}

func TestWatchNeedsAMonitor(t *testing.T) {
	if _, err := newSink(t, file.Options{Path: filepath.Join(t.TempDir(), "token")}).Watch(func() {}); err == nil {
		t.Error("Watch returned nil")
	}
}

// lines is a log that may be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
