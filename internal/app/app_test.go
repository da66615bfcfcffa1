package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
)

func TestOnceFillsEverySinkAndReturns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""), h.person("ben", ""))
	for round := range 2 { // the second finds the tokens in the state
		if err := h.open(t, path).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ann", "ben"} {
			if !strings.HasPrefix(h.read("out/"+name), "access-") {
				t.Errorf("round %d: the sink of %s holds %q", round, name, h.read("out/"+name))
			}
			if err := os.Remove(h.path("out/" + name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := h.requests.Load(); n != 2 {
		t.Errorf("%d token requests for two tokens", n)
	}
}

func TestOnceNamesWhatIsMissingAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	blocked := h.write(t, "blocked", "a file where a directory should be")
	path := h.config(t, "c.hcl", "", h.person("ann", ""), h.person("bad", "client_id = \"refused\"\n"),
		strings.Replace(h.person("cut", ""), h.path("out/cut"), filepath.Join(blocked, "cut"), 1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a := h.open(t, path)
	settled := func() bool { // all that can be done is done
		s := a.refresher.Status() // by name: ann, bad, cut
		return s[0].Sinks[0].Generation == 1 && s[1].LastError != nil && s[2].Generation == 1 && s[2].Sinks[0].LastError != nil
	}
	go func() {
		for ctx.Err() == nil && !settled() {
			time.Sleep(2 * time.Millisecond)
		}
		cancel()
	}()
	err := a.Once(ctx)
	if err == nil {
		t.Fatal("no error although two tokens are missing")
	}
	for _, part := range []string{`"bad"`, `"cut"`, "invalid_client"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not name %s: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), `"ann"`) {
		t.Errorf("the error names a token that is delivered: %v", err)
	}
	if strings.Contains(err.Error()+h.log.String(), "access-") {
		t.Error("a token is seen")
	}
	_, got := planned(t, path)
	if !strings.HasPrefix(got["ann"], "start [] resumes generation 1") || !strings.HasPrefix(got["cut"], "start [] resumes generation 1") {
		t.Errorf("what was obtained is not kept: %v", got)
	}
}

func TestReloadKeepsTheLastGoodConfigurationAndReports(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""))
	a := h.open(t, path)
	// Nothing follows the file here: reloads are those that are asked for.
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	good := a.providers["as"]
	loaded := a.Status().Config.LoadedAt
	for name, spoil := range map[string]func(){
		"syntax":               func() { h.write(t, "c.hcl", "token {{{") },
		"empty":                func() { h.write(t, "c.hcl", "") },
		"unknown key":          func() { h.config(t, "c.hcl", "retries = 3", h.person("ann", "")) },
		"client not buildable": func() { h.config(t, "c.hcl", "", h.garbled(t), h.person("ann", ""), h.person("ben", "")) },
		"sink twice": func() {
			h.config(t, "c.hcl", "", h.person("ann", ""), strings.Replace(h.person("ben", ""), "out/ben", "out/ann", 1))
		},
	} {
		spoil()
		err := a.Reload(t.Context())
		status := a.Status().Config
		if err == nil || status.Error == nil || status.Error.Message != err.Error() || status.Error.Code != "config" {
			t.Errorf("%s: %v, status %v", name, err, status.Error)
		}
		if _, ok := errors.AsType[*config.Error](err); ok == (name == "client not buildable") {
			t.Errorf("%s: the error is a %T", name, err)
		}
		if names := a.refresher.Names(); len(names) != 1 || names[0] != "ann" {
			t.Errorf("%s: %v run", name, names)
		}
		if a.providers["as"] != good || status.LoadedAt != loaded {
			t.Errorf("%s: something was touched", name)
		}
	}
	h.config(t, "c.hcl", "", h.person("ann", ""), h.person("ben", ""))
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := a.Status(); s.Config.Error != nil || len(s.Tokens) != 2 || !s.Config.LoadedAt.After(loaded) {
		t.Errorf("mended: %+v, %d tokens", s.Config, len(s.Tokens))
	}
	if a.providers["as"] != good {
		t.Error("an unchanged provider lost its client")
	}
	h.config(t, "c.hcl", "timeout = \"7s\"", h.person("ann", ""))
	if err := a.Reload(t.Context()); err != nil || a.providers["as"] == good {
		t.Errorf("a changed provider kept its client: %v", err)
	}
}

func TestDaemonAnswersInTheSocketsWords(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.open(t, h.config(t, "c.hcl", "", h.person("ann", ""), h.person("bad", `client_id = "refused"`)))
	d := daemon{a}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	if err := d.Wait(t.Context(), []string{"ann"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if tok, err := d.Token(t.Context(), "ann", time.Minute); err != nil || tok.Generation != 1 || !strings.HasPrefix(tok.AccessToken.Reveal(), "access-") {
		t.Errorf("ann: %v, %v", tok, err)
	}
	for name, c := range map[string]struct{ err, want error }{
		"too short":       {second(d.Token(t.Context(), "ann", 2*time.Hour)), control.ErrTooShort},
		"no token yet":    {second(d.Token(t.Context(), "bad", 0)), control.ErrNotReady},
		"unknown":         {second(d.Token(t.Context(), "nobody", 0)), control.ErrUnknownToken},
		"unknown refresh": {d.Refresh(t.Context(), "nobody", false), control.ErrUnknownToken},
		"unknown wait":    {d.Wait(t.Context(), []string{"nobody"}, 0), control.ErrUnknownToken},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if f, ok := errors.AsType[*token.Failure](d.Refresh(t.Context(), "bad", true)); !ok || f.Class != token.Misconfigured || f.Code != "invalid_client" {
		t.Errorf("a refused login: %v", f)
	}
	prints, err := d.Fingerprints(t.Context())
	if err != nil || len(prints.Salt) != 32 || len(prints.Tokens) != 2 {
		t.Errorf("%v, %v", prints, err)
	}
	if s := a.Status(); s.Version != "test" || s.PID != os.Getpid() || s.Delivery.Count != 1 || s.State.Location != h.path("state") || s.State.Sealed {
		t.Errorf("status: %+v", s)
	}
}

func second[T any](_ T, err error) error { return err }

func TestHTTPBlockServesHealthUntilTheEnd(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	address := freeAddress(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""), fmt.Sprintf("http {\n address = %q\n}", address))
	stop := h.run(t, h.open(t, path))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for page, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n", "/readyz?format=json": `{"ready":true,"tokens":1,"waiting":{}}` + "\n"} {
		resp, err := client.Get("http://" + address + page)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != want {
			t.Errorf("%s: %d %q, %v", page, resp.StatusCode, body, err)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if resp, err := client.Get("http://" + address + "/healthz"); err == nil {
		_ = resp.Body.Close()
		t.Error("it is served after the end")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Whatever keeps a daemon from starting, the state and the socket are free again
// afterwards.
func TestStartThatFailsGivesEverythingBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := h.config(t, "taken.hcl", "", h.person("ann", ""), fmt.Sprintf("http {\n address = %q\n}", l.Addr()))
	if err := h.open(t, taken).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "listening for http") {
		t.Errorf("an address that is taken: %v", err)
	}
	if _, err := os.Stat(h.path("s")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is left behind: %v", err)
	}
	if _, err := New(t.Context(), h.options(h.config(t, "garbled.hcl", "", h.garbled(t), h.person("ann", "")))); err == nil || !strings.Contains(err.Error(), `provider "garbled"`) {
		t.Errorf("a client that cannot be built: %v", err)
	}
	if _, err := New(t.Context(), h.options(h.write(t, "bad.hcl", "token {{{"))); err == nil {
		t.Error("a bad configuration starts")
	}
	if h.requests.Load() != 0 {
		t.Error("a token was asked for")
	}
	stop := h.run(t, h.open(t, h.config(t, "good.hcl", "", h.person("ann", ""))))
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestCloseMayBeRepeated(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""))
	unused := h.open(t, path)
	for range 3 {
		if err := unused.Close(); err != nil {
			t.Error(err)
		}
	}
	ran := h.open(t, path)
	if err := h.run(t, ran)(); err != nil {
		t.Error(err)
	}
	if err := ran.Close(); err != nil {
		t.Errorf("after Run: %v", err)
	}
	if err := new(App).Close(); err != nil {
		t.Errorf("of one that took nothing: %v", err)
	}
}

// Not parallel: it counts the goroutines of the process.
func TestRunLeavesNoGoroutineBehind(t *testing.T) {
	h := newHouse(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""), h.person("ben", ""), fmt.Sprintf("http {\n address = %q\n}", freeAddress(t)))
	cycle := func() {
		a := h.open(t, path)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		if err := a.refresher.Wait(t.Context(), nil, 0); err != nil {
			t.Error(err)
		}
		c := control.NewClient(h.path("s"))
		if err := c.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.server.CloseClientConnections()
	}
	cycle() // what the process starts once for all
	before := runtime.NumGoroutine()
	for range 5 {
		cycle()
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(2 * time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines before five runs, %d after:\n%s", before, now, stacks[:runtime.Stack(stacks, true)])
	}
}
