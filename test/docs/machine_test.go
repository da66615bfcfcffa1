package docs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// machine is a place where the commands of a page can be typed: a directory that
// plays its root, an authorization server that plays all of them, and programs
// that do there what they say.
type machine struct {
	root string // what /etc, /run, /var and /tmp are below
	home string // where commands are typed
	bin  string
	url  string // of the authorization server and the APIs behind it
	http string // host and port in the place of port 9466
	env  []string
}

// usual is the configuration of pages that have none of their own, by file.
var usual = map[string]string{
	"state.hcl": `
state "file" {
  key = file("state.key")
}
`, "usual.hcl": `
http {
  address = "127.0.0.1:9466"
}
provider "example" {
  token_endpoint = "https://auth.example/oauth2/token"
  client_id      = "my-client"
  client_secret  = file("example.secret")
}
token "example" {
  provider = "example"
  grant "client_credentials" {}
  sink "file" {
    path   = "/run/tokend/example/header"
    format = "header"
  }
}
`}

// buildTokend builds the program, once for all tests.
func buildTokend(t *testing.T) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var built = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "build", "-o", workshop, "./cmd/tokend")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", build, err, out)
	}
	return workshop + "/tokend", nil
})

// workshop is the directory of what is built; TestMain makes and removes it.
var workshop string

func newMachine(t *testing.T, tokend string) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "docs") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := &machine{root: dir, home: dir + "/home", bin: dir + "/bin", url: authorizationServer(t), http: freeAddress(t)}
	for _, sub := range []string{"/home", "/bin", "/tmp", "/etc/tokend", "/run/tokend", "/var/lib/tokend"} {
		if err := os.MkdirAll(dir+sub, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	m.furnish(t)
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(repository+"/manifests", m.home+"/manifests"); err != nil {
		t.Fatal(err)
	}
	m.env = []string{
		"PATH=" + m.bin, "HOME=" + m.home, "LANG=C.UTF-8", "TMPDIR=" + dir + "/tmp",
		"STATE_DIRECTORY=" + dir + "/var/lib/tokend", "RUNTIME_DIRECTORY=" + dir + "/run/tokend",
		envRoot + "=" + dir, envTokend + "=" + tokend, envPath + "=" + os.Getenv("PATH"), envRepo + "=" + repository,
	}
	t.Cleanup(m.end)
	return m
}

// furnish puts the programs into place: what is played by this test, what is as it
// seems, and the jobs that the pages run.
func (m *machine) furnish(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name := range programs() {
		if err := os.Symlink(self, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range plainPrograms() {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(m.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, job := range []string{"report", "batch"} {
		if err := os.WriteFile(filepath.Join(m.home, job), []byte("#!/bin/sh\nexit 0\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

// authorizationServer grants whatever is asked for, and serves what is asked with
// a token that it has given.
func authorizationServer(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"access_token": "given-here", "token_type": "Bearer", "expires_in": 3600}`)
		case r.Header.Get("Authorization") != "Bearer given-here":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

var (
	somePath    = regexp.MustCompile(`(^|[\s"'=@(:<>])(/(?:etc/tokend|run/tokend|var/lib/tokend|tmp/))`)
	someServer  = regexp.MustCompile(`https://[a-z0-9.-]+\.example\b`)
	someAddress = regexp.MustCompile(`\b(?:127\.0\.0\.1|localhost):9466`)
	someSecret  = regexp.MustCompile(`file\("([^"]+)"\)`)
)

// here makes the paths and addresses of a page those of the machine.
func (m *machine) here(text string) string {
	text = somePath.ReplaceAllString(text, "${1}"+m.root+"${2}")
	text = someServer.ReplaceAllString(text, m.url)
	return someAddress.ReplaceAllString(text, m.http)
}

// there makes the paths of the machine those of the page.
func (m *machine) there(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, m.root, ""), m.http, "127.0.0.1:9466")
}

// configure writes a configuration to where its first line says, with the secrets
// that it reads.
func (m *machine) configure(t *testing.T, b block) {
	t.Helper()
	name, ok := strings.CutPrefix(b.lines[0], "# ")
	if !ok || filepath.Ext(name) != ".hcl" || strings.Contains(name, " ") {
		return
	}
	path := m.here(name)
	if !filepath.IsAbs(path) {
		path = filepath.Join(m.home, path)
	}
	m.write(t, path, m.here(b.text()))
}

func (m *machine) write(t *testing.T, path, text string) {
	t.Helper()
	files := map[string]string{path: text}
	for _, s := range someSecret.FindAllStringSubmatch(text, -1) {
		secret := s[1]
		if !filepath.IsAbs(secret) {
			secret = filepath.Join(filepath.Dir(path), secret)
		}
		if _, err := os.Stat(secret); err != nil && strings.HasPrefix(secret, m.root) {
			files[secret] = "a demonstration value of more than thirty-two bytes\n"
		}
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// prepare gives the machine the usual configuration, unless the page has tokens of
// its own.
func (m *machine) prepare(t *testing.T, page []block) {
	t.Helper()
	for _, b := range page {
		if b.language == "hcl" && strings.HasPrefix(b.lines[0], "# /etc/tokend/") && strings.Contains(b.text(), "\ntoken \"") {
			return
		}
	}
	for name, text := range usual {
		m.write(t, m.root+"/etc/tokend/"+name, m.here(text))
	}
}

// asksDaemon are commands that need a daemon, and files that one writes.
var asksDaemon = regexp.MustCompile(`\btokend (status|get|wait|exec|refresh|login|reload|plan|git-credential)\b|/run/tokend/|:9466`)

// ready starts the daemon for a script that needs one, unless it runs already.
func (m *machine) ready(t *testing.T, script string) {
	t.Helper()
	if _, err := os.Stat(m.root + "/daemon.pid"); err == nil || !asksDaemon.MatchString(script) || strings.Contains(script, "systemctl") {
		return
	}
	if out, code := m.sh(t, "systemctl start tokend"); code != 0 {
		t.Fatal(out)
	}
}

// sh types a script, and returns what it prints and its exit code.
func (m *machine) sh(t *testing.T, script string) (string, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-euc", m.here(script))
	cmd.Dir, cmd.Env, cmd.WaitDelay = m.home, m.env, time.Second
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return m.there(string(out)), exit.ExitCode()
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return m.there(string(out)), 0
}

// end kills the daemon, which is nobody's child by now.
func (m *machine) end() {
	var pid int
	if data, err := os.ReadFile(m.root + "/daemon.pid"); err == nil {
		if _, err := fmt.Sscan(string(data), &pid); err == nil && pid > 1 {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}
