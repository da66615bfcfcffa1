package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/token"
)

// told collects everything that tokend says, by where it was said.
type told struct {
	mu    sync.Mutex
	texts map[string][]byte
}

func (o *told) hear(where string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.texts == nil {
		o.texts = map[string][]byte{}
	}
	o.texts[where] = append(append(o.texts[where], text...), '\n')
}

func (o *told) fault(where string, err error) {
	if err != nil {
		o.hear(where, []byte(err.Error()))
	}
}

// check fails the test for each secret in what was said.
func (o *told) check(t *testing.T, c *canaries) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for where, text := range o.texts {
		for _, leak := range c.leaks(text) {
			t.Errorf("%s shows %s", where, leak)
		}
		t.Logf("%s: %d bytes", where, len(text))
	}
}

// With debug logs on and every error path taken, no secret is seen in any shape.
func TestNoSecretIsSeenWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	b := newBell()
	a, d := newAviary(t, b), place(t, b)
	var said told
	d.httpAddress = freeAddress(t)
	good := a.config(t, d)
	d.write(t, "tokend.hcl", good)
	d.build(t)
	d.run(t)
	a.provoke(t, d, &said)
	a.answers(t, d, &said)
	a.spoil(t, d, &said, good)
	a.run(t, d, &said)
	d.stop(t)

	hooked := d.read("hooked")
	if !strings.Contains(hooked, "TOKEND_GENERATION") || !strings.Contains(hooked, "hook.sh") {
		t.Errorf("the hook has not shown its environment and arguments: %q", hooked)
	}
	said.hear("the hook's environment", []byte(hooked))
	said.hear("the log", d.log.bytes())
	said.hear("the sealed state", []byte(d.read("state/tokend.db")))
	said.check(t, a.canaries)
	found, err := a.readable(d.dir)
	if err != nil || len(found) > 0 {
		t.Errorf("files that everybody may read: %v %q", err, found)
	}
	if len(a.missing) > 0 {
		t.Errorf("requests came without %q: this proves nothing", a.missing)
	}
	if len(a.leaks([]byte(d.read("out/login-invalid-grant")))) == 0 {
		t.Error("the detector does not find a token in the file that holds one: this proves nothing")
	}
}

// provoke takes every token through its bad answer, as a login or as a refresh.
func (a *aviary) provoke(t *testing.T, d *daemon, said *told) {
	t.Helper()
	client := d.client(t)
	var all sync.WaitGroup
	for _, name := range append(a.names(), "refresh-troubled") {
		all.Go(func() {
			for range 3 {
				said.fault("a command's error", client.Refresh(t.Context(), name, false))
			}
			said.fault("a command's error", client.Refresh(t.Context(), name, true))
		})
	}
	all.Wait()
	for _, event := range []string{"attempt_failed", "refresh_refused", "odd_answer", "sink_failed", "hook_failed", "probe_failed", "probe_refused", "throttled"} {
		d.await(t, "the log tells of "+event, func() bool { return d.log.count(event, "") > 0 })
	}
	d.await(t, "every class was met", func() bool {
		log := d.log.bytes()
		for _, class := range []token.Class{token.Ambiguous, token.Transient, token.Rejected, token.Misconfigured} {
			if !bytes.Contains(log, []byte(`"class":"`+class.String()+`"`)) {
				return false
			}
		}
		return true
	})
	for _, name := range []string{"no-such-token", "login-invalid-grant"} {
		_, err := client.Token(t.Context(), name, 100*60*60*1e9)
		said.fault("a command's error", err)
	}
}

// answers asks everything that answers without a secret.
func (a *aviary) answers(t *testing.T, d *daemon, said *told) {
	t.Helper()
	status, err := json.Marshal(d.app.Status())
	if err != nil {
		t.Fatal(err)
	}
	said.hear("the status", status)
	prints, err := d.client(t).Fingerprints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said.hear("the fingerprints", fmt.Append(nil, prints))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/", "/status", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/vars"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.httpAddress+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		said.hear("http", fmt.Appendf(nil, "%s %s", response.Status, body))
		if strings.HasPrefix(path, "/debug") && response.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers with %s", path, response.Status)
		}
	}
}

// spoil puts broken configurations before everything that reads one.
func (a *aviary) spoil(t *testing.T, d *daemon, said *told, good string) {
	t.Helper()
	for name, text := range a.spoiled() {
		d.write(t, "broken.hcl", text)
		broken := []string{d.path("broken.hcl")}
		_, err := app.New(t.Context(), app.Options{ConfigPaths: broken, LogOutput: io.Discard})
		if err == nil {
			t.Errorf("%s: this configuration is not broken", name)
		}
		said.fault("a refused configuration", err)
		_, err = app.Plan(t.Context(), app.PlanOptions{ConfigPaths: broken})
		said.fault("a refused configuration", err)
		_, report := config.Load(broken, config.Options{CheckTemplate: app.CheckTemplate})
		var shown bytes.Buffer
		if err := report.Write(&shown, true, 100); err != nil {
			t.Error(err)
		}
		said.hear("a report", shown.Bytes())
		d.replace(t, "tokend.hcl", text)
		said.fault("a refused reload", d.client(t).Reload(t.Context()))
		status, _ := json.Marshal(d.app.Status().Config)
		said.hear("the status", status)
	}
	remove(t, d.path("broken.hcl"))
	d.replace(t, "tokend.hcl", good)
	if err := d.client(t).Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

// run lets the commands speak, with everything they print.
func (a *aviary) run(t *testing.T, d *daemon, said *told) {
	t.Helper()
	bin := d.path("tokend")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/tokend")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.write(t, "broken.hcl", a.spoiled()["misspelt"])
	socket := []string{"--socket", d.path("run/control.sock")}
	for _, args := range [][]string{
		{"validate", "--config", d.path("tokend.hcl")},
		{"validate", "--config", d.path("tokend.hcl"), "--output", "json"},
		{"validate", "--config", d.path("broken.hcl")},
		{"validate", "--config", d.path("broken.hcl"), "--output", "json"},
		{"run", "--config", d.path("broken.hcl")},
		{"once", "--config", d.path("broken.hcl")},
		{"run", "--config", d.path("tokend.hcl")}, // whose state is taken
		append([]string{"plan", "--config", d.path("tokend.hcl")}, socket...),
		append([]string{"plan", "--config", d.path("tokend.hcl"), "--output", "json"}, socket...),
		append([]string{"plan", "--config", d.path("broken.hcl")}, socket...),
		append([]string{"status"}, socket...),
		append([]string{"status", "--output", "json"}, socket...),
		append([]string{"wait", "--timeout", "100ms", "--min-ttl", "100h"}, socket...),
		append([]string{"get", "no-such-token"}, socket...),
		append([]string{"get", "refresh-troubled", "--min-ttl", "100h"}, socket...),
		append([]string{"refresh", "refresh-html-500"}, socket...),
		append([]string{"reload"}, socket...),
	} {
		out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
		if _, ended := err.(*exec.ExitError); err != nil && !ended {
			t.Fatalf("tokend %q: %v", args, err)
		}
		if len(out) == 0 && args[0] != "reload" {
			t.Errorf("tokend %q says nothing", args)
		}
		said.hear("tokend "+args[0], out)
	}
	remove(t, d.path("broken.hcl"))
	if err := os.Remove(bin); err != nil {
		t.Error(err)
	}
}

// freeAddress is one on loopback where nobody listens at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
