package systemd

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/systemd"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// stallVariable names a file to this test's own program: it is then a daemon
// whose scheduler hangs for as long as there is the file. Nothing but the clock
// that the App is given differs from tokend's own program.
const stallVariable = "TOKEND_TEST_STALL"

var binary string

func TestMain(m *testing.M) {
	if file := os.Getenv(stallVariable); file != "" {
		os.Exit(stallable(file, os.Args[1]))
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokend-systemd-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = tokend.Build("../..", dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func stallable(file, config string) int {
	manager, err := systemd.FromEnvironment()
	if err != nil {
		return 1
	}
	a, err := app.New(context.Background(), app.Options{ConfigPaths: []string{config}, Manager: manager, Now: func() time.Time {
		for {
			if _, err := os.Stat(file); err != nil {
				return time.Now()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}})
	if err == nil {
		err = a.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// manager listens as systemd does.
type manager struct {
	path string
	mu   sync.Mutex
	told []message
}

type message struct {
	at   time.Time
	text string
}

func listen(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify-")
	if err != nil {
		t.Fatal(err)
	}
	m := &manager{path: filepath.Join(dir, "socket")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, message{time.Now(), string(buffer[:n])})
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		conn.Close()
		group.Wait()
		os.RemoveAll(dir)
	})
	return m
}

// lines are all assignments so far.
func (m *manager) lines() (lines []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.told {
		lines = append(lines, strings.Split(t.text, "\n")...)
	}
	return lines
}

func (m *manager) count(line string) (n int) {
	for _, l := range m.lines() {
		if l == line {
			n++
		}
	}
	return n
}

// last is when a line was told for the last time.
func (m *manager) last(line string) (at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.told {
		if slices.Contains(strings.Split(t.text, "\n"), line) {
			at = t.at
		}
	}
	return at
}

func (m *manager) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("told: %q", m.lines())
		}
	}()
	tokend.Await(t, 20*time.Second, what, condition)
}

// server grants tokens once its gate is open.
type server struct {
	*httptest.Server
	gate chan struct{}
	open func()
}

func serve(t *testing.T) *server {
	t.Helper()
	gate := make(chan struct{})
	s := &server{gate: gate, open: sync.OnceFunc(func() { close(gate) })}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gate:
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"the-access-token","token_type":"Bearer","expires_in":3600}`)
	}))
	t.Cleanup(func() {
		s.open()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) config(dir, more string, tokens ...string) string {
	text := fmt.Sprintf(`
state "file" { path = "%[1]s/state" }
control { socket = "%[1]s/run/control.sock" }
provider "as" {
  token_endpoint = "%[2]s/token"
  client_id      = "c"
  client_secret  = "s"
}
%[3]s
`, dir, s.URL, more)
	for _, name := range tokens {
		text += fmt.Sprintf(`
token "%[2]s" {
  provider = "as"
  grant "client_credentials" {}
  sink "file" { path = "%[1]s/out/%[2]s" }
}
`, dir, name)
	}
	return text
}

// begin starts a program as systemd would: with a socket, and a watchdog for it.
func begin(t *testing.T, m *manager, watchdog time.Duration, cmd *exec.Cmd) (stderr *tokend.Output, done chan error) {
	t.Helper()
	stderr, done = &tokend.Output{}, make(chan error, 1)
	cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+m.path), cmd.Env...)
	if watchdog > 0 {
		cmd.Env = append(cmd.Env, "WATCHDOG_USEC="+strconv.FormatInt(watchdog.Microseconds(), 10))
	}
	cmd.Stderr, cmd.SysProcAttr = stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { done <- cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		for range done {
		}
		if t.Failed() {
			t.Logf("the daemon's log:\n%s", stderr.Tail(4000))
		}
	})
	return stderr, done
}

func TestStartReloadAndStop(t *testing.T) {
	t.Parallel()
	m, s := listen(t), serve(t)
	d := tokend.New(t, binary)
	d.Configure(t, s.config(d.Dir, "", "a", "b"))
	cmd := exec.CommandContext(t.Context(), binary, "run", "--config", d.Config())
	_, done := begin(t, m, 2*time.Second, cmd)

	m.until(t, "it says what it waits for", func() bool { return m.count("STATUS=starting: 2 not obtained yet: a b") == 1 })
	m.until(t, "it asks for time", func() bool { return m.count("EXTEND_TIMEOUT_USEC=2000000") >= 2 })
	if m.count("READY=1") > 0 {
		t.Fatal("ready before any token was obtained")
	}
	s.open()
	m.until(t, "it is ready", func() bool { return m.count("READY=1") == 1 })
	for _, name := range []string{"a", "b"} {
		if strings.TrimSpace(d.Content(name)) != "the-access-token" {
			t.Errorf("ready, and sink %s holds %q", name, d.Content(name))
		}
	}
	m.until(t, "it says how the tokens are", func() bool { return m.count("STATUS=2 tokens fresh") == 1 })

	// The daemon may have noticed the new file by itself before the signal comes.
	d.Configure(t, s.config(d.Dir, "", "a", "b", "c"))
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	m.until(t, "it has reloaded", func() bool {
		reloads := m.count("RELOADING=1")
		return reloads > 0 && m.count("READY=1") == 1+reloads && m.count("STATUS=3 tokens fresh") == 1
	})
	lines := m.lines()
	i := slices.Index(lines, "RELOADING=1")
	usec, err := strconv.ParseInt(strings.TrimPrefix(lines[i+1], "MONOTONIC_USEC="), 10, 64)
	if err != nil || usec <= 0 {
		t.Errorf("after RELOADING=1 comes %q", lines[i+1])
	}
	d.Configure(t, "token {{{")
	m.until(t, "it tells of a refused configuration", func() bool {
		return slices.ContainsFunc(m.lines(), func(l string) bool {
			return strings.HasPrefix(l, "STATUS=3 tokens fresh; a new configuration was refused, the last good one runs on: ")
		})
	})
	fed := m.count("WATCHDOG=1")
	m.until(t, "the watchdog is fed", func() bool { return m.count("WATCHDOG=1") >= fed+3 })

	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("it ends with %v", err)
	}
	lines = m.lines()
	if i := slices.Index(lines, "STOPPING=1"); i < 0 || slices.Contains(lines[i:], "READY=1") || slices.Contains(lines[i:], "WATCHDOG=1") {
		t.Errorf("at the end: %q", lines[max(0, i):])
	}
	if text := strings.Join(lines, "\n"); strings.Contains(text, "the-access-token") {
		t.Error("a token is told to systemd")
	}
}

func TestReadyAtOnceWhereTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	m, s := listen(t), serve(t)
	d := tokend.New(t, binary)
	d.Configure(t, s.config(d.Dir, "systemd {\n  ready = \"started\"\n}\n", "a"))
	begin(t, m, 0, exec.CommandContext(t.Context(), binary, "run", "--config", d.Config()))
	m.until(t, "it is ready", func() bool { return m.count("READY=1") == 1 })
	m.until(t, "it says that it has no token", func() bool { return m.count("STATUS=1 not obtained yet: a") == 1 })
}

func TestHungSchedulerIsNotFed(t *testing.T) {
	t.Parallel()
	const watchdog = 2 * time.Second
	m, s := listen(t), serve(t)
	s.open()
	d := tokend.New(t, binary)
	d.Configure(t, s.config(d.Dir, "", "a"))
	stall := filepath.Join(d.Dir, "stall")
	cmd := exec.CommandContext(t.Context(), os.Args[0], d.Config())
	cmd.Env = []string{stallVariable + "=" + stall}
	_, done := begin(t, m, watchdog, cmd)
	m.until(t, "it is ready and fed", func() bool { return m.count("READY=1") == 1 && m.count("WATCHDOG=1") >= 3 })

	if err := os.WriteFile(stall, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	hung := time.Now()
	time.Sleep(2 * watchdog) // systemd would have ended it halfway
	if late := m.last("WATCHDOG=1").Sub(hung); late > watchdog/2 {
		t.Errorf("fed %s after the scheduler hung", late)
	}
	select {
	case err := <-done:
		t.Fatalf("the process has ended, so that this shows nothing: %v", err)
	default: // all but the scheduler is alive
	}
	if err := os.Remove(stall); err != nil {
		t.Fatal(err)
	}
	m.until(t, "it is fed again", func() bool { return m.last("WATCHDOG=1").After(hung.Add(2 * watchdog)) })
}

// Who cannot read a process's memory finds no secret there; neither does who
// finds its core dump (prctl(2), PR_SET_DUMPABLE: /proc/PID belongs to root then).
func TestNoCoreDumps(t *testing.T) {
	t.Parallel()
	m, s := listen(t), serve(t)
	d := tokend.New(t, binary)
	d.Configure(t, s.config(d.Dir, "systemd {\n  ready = \"started\"\n}\n", "a"))
	cmd := exec.CommandContext(t.Context(), binary, "run", "--config", d.Config())
	begin(t, m, 0, cmd)
	m.until(t, "it is ready", func() bool { return m.count("READY=1") == 1 })
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	if err != nil {
		t.Skipf("not to be asked by this user: %v", err) // which is what PR_SET_DUMPABLE is for
	}
	for line := range strings.Lines(string(limits)) {
		if rest, ok := strings.CutPrefix(line, "Max core file size"); ok {
			if f := strings.Fields(rest); f[0] != "0" || f[1] != "0" {
				t.Errorf("core dumps may be as large as %s", rest)
			}
		}
	}
}
