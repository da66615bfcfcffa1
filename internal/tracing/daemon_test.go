package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/devserver"
)

// household is a whole daemon with the six tokens of tokend dev, whose server is
// overheard.
type household struct {
	dir    string
	server *devserver.Server
	client *control.Client
	log    logbook
	end    func() error

	mu      sync.Mutex
	secrets map[string]bool // all that went over the wire or stands in the configuration
}

// secretsIn finds what requests, answers and the configuration hold.
var secretsIn = []*regexp.Regexp{
	regexp.MustCompile(`"(?:access|refresh)_token"\s*:\s*"([^"]+)"`),
	regexp.MustCompile(`(?m)^\s*(?:password|client_secret)\s*=\s*"([^"]+)"`),
}

func (h *household) overhear(text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, secret := range secretsIn {
		for _, m := range secret.FindAllSubmatch(text, -1) {
			h.secrets[string(m[1])] = true
		}
	}
}

// overheard is a ResponseWriter that repeats what is written.
type overheard struct {
	http.ResponseWriter
	to *bytes.Buffer
}

func (o overheard) Write(p []byte) (int, error) {
	o.to.Write(p)
	return o.ResponseWriter.Write(p)
}

func (o overheard) Unwrap() http.ResponseWriter { return o.ResponseWriter }

func newHousehold(t *testing.T, tracing string) *household {
	t.Helper()
	dir, err := os.MkdirTemp("", "tokend-trace-") // the path of a unix socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &household{dir: dir, secrets: map[string]bool{}}
	if h.server, err = devserver.New(devserver.Options{Lifetime: time.Minute}); err != nil {
		t.Fatal(err)
	}
	handler := h.server.Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var said bytes.Buffer
		handler.ServeHTTP(overheard{ResponseWriter: w, to: &said}, r)
		h.overhear(said.Bytes())
	}))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
		_ = h.server.Close()
	})
	text := h.server.Config(srv.URL, dir)
	h.overhear([]byte(text))
	path := filepath.Join(dir, "tokend.hcl")
	if err := os.WriteFile(path, []byte(text+tracing), 0o600); err != nil {
		t.Fatal(err)
	}
	h.client = control.NewClient(filepath.Join(dir, "control.sock"))
	t.Cleanup(h.client.Close)
	h.run(t, path)
	return h
}

func (h *household) run(t *testing.T, path string) {
	t.Helper()
	a, err := app.New(t.Context(), app.Options{ConfigPaths: []string{path}, Version: "1.2.3", LogOutput: &h.log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	h.end = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := h.end(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(h.log.String())
		}
	})
	for late := time.Now().Add(20 * time.Second); ; {
		err := h.client.Wait(t.Context(), nil, 0, 20*time.Second)
		if err == nil {
			return
		}
		if time.Now().After(late) {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // the socket opens, which rings no bell
	}
}

// refresh asks for an attempt, and expects it to go as said.
func (h *household) refresh(t *testing.T, name string, good bool) {
	t.Helper()
	if err := h.client.Refresh(t.Context(), name, false); (err == nil) != good {
		t.Errorf("refreshing %s: %v", name, err)
	}
}

func block(endpoint, headers string) string {
	return "\ntracing {\n  endpoint = \"" + endpoint + "\"\n  headers  = { " + headers + " }\n}\n"
}

func TestDaemonTracesItsTokensFromRequestToSinks(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	h := newHousehold(t, block(c.URL, `Authorization = "Bearer hunter2"`))
	h.secrets["hunter2"] = true

	h.refresh(t, "rator-operator", true)
	h.server.SetFault(devserver.Fault{Mode: devserver.Unavailable}, devserver.Musement)
	h.refresh(t, "musement-user", false)
	h.server.RevokeRefreshTokens(devserver.Rator, "")
	h.refresh(t, "rator-customer", true) // by a login
	target := filepath.Join(h.dir, "rator/system.token")
	if err := errors.Join(os.Remove(target), os.Mkdir(target, 0o700)); err != nil {
		t.Fatal(err)
	}
	h.refresh(t, "rator-system", true)
	all := c.until(t, "the write that fails", func(all []span) bool {
		return slices.ContainsFunc(all, func(s span) bool { return s.Name == "write" && s.attrs["tokend.token"] == "rator-system" && s.failed() })
	})
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	all = append(all[:0], c.all()...) // with what was flushed at the end

	t.Run("every token's first login", func(t *testing.T) { firstLogins(t, all) })
	t.Run("a refresh", func(t *testing.T) { goodRefresh(t, all) })
	t.Run("an outage", func(t *testing.T) { outage(t, all) })
	t.Run("a refused refresh", func(t *testing.T) { refusedRefresh(t, all) })
	t.Run("a sink that fails", func(t *testing.T) { failedWrite(t, all, target) })
	t.Run("no secret", func(t *testing.T) { h.noneIn(t, c.raw) })
	if c.resource["service.version"] != "1.2.3" || c.headers[0].Get("Authorization") != "Bearer hunter2" {
		t.Errorf("resource %v, headers %v", c.resource, c.headers[0])
	}
}

func firstLogins(t *testing.T, all []span) {
	for name, sinks := range map[string]int{
		"musement-app": 1, "musement-user": 1, "greymatter-upstream": 1, "rator-customer": 1, "rator-operator": 2, "rator-system": 1,
	} {
		logins := roots(all, "login", name)
		if len(logins) == 0 {
			t.Errorf("%s has no login among %v", name, names(all))
			continue
		}
		parts := below(all, logins[0])
		if len(parts["intent"]) != 0 || len(parts["request"]) != 1 || len(parts["commit"]) != 1 || len(parts["write"]) != sinks {
			t.Errorf("%s: %v", name, names(all))
			continue
		}
		inOrder(t, name, logins[0].from(), parts["request"][0].from(), parts["request"][0].to(), parts["commit"][0].to(), logins[0].to())
		for _, w := range parts["write"] {
			// What is staged begins before the record is durable, and ends after.
			inOrder(t, name+"'s write", parts["request"][0].to(), w.from(), w.to())
			inOrder(t, name+"'s publishing", parts["commit"][0].to(), w.to())
			if w.attrs["tokend.sink"] != "file" || w.attrs["tokend.result"] != "written" || w.attrs["tokend.generation"] != "1" {
				t.Errorf("%s: %v", name, w.attrs)
			}
		}
	}
}

func inOrder(t *testing.T, what string, instants ...time.Time) {
	t.Helper()
	for i := 1; i < len(instants); i++ {
		if instants[i].Before(instants[i-1]) {
			t.Errorf("%s: %v are not in order", what, instants)
		}
	}
}

func goodRefresh(t *testing.T, all []span) {
	refreshes := roots(all, "refresh", "rator-operator")
	if len(refreshes) != 1 {
		t.Fatalf("%d refreshes", len(refreshes))
	}
	r, parts := refreshes[0], below(all, refreshes[0])
	if len(parts["intent"]) != 1 || len(parts["request"]) != 1 || len(parts["commit"]) != 1 || len(parts["write"]) != 2 || r.failed() {
		t.Fatalf("%v", names(all))
	}
	inOrder(t, "the refresh", r.from(), parts["intent"][0].from(), parts["intent"][0].to(), parts["request"][0].from(),
		parts["request"][0].to(), parts["commit"][0].from(), parts["commit"][0].to(), r.to())
	if r.attrs["tokend.provider"] != "rator" || r.attrs["tokend.grant"] != "operator_password" || r.attrs["tokend.generation"] != "2" {
		t.Errorf("%v", r.attrs)
	}
}

func outage(t *testing.T, all []span) {
	refreshes := roots(all, "refresh", "musement-user")
	if len(refreshes) == 0 {
		t.Fatalf("%v", names(all))
	}
	r, parts := refreshes[0], below(all, refreshes[0])
	if !r.failed() || r.attrs["tokend.class"] != "ambiguous" || r.attrs["error.type"] != "http_status" || len(parts["write"]) != 0 || len(parts["request"]) != 1 {
		t.Fatalf("%v, %v", r.attrs, names(all))
	}
	if q := parts["request"][0]; !q.failed() || q.attrs["http.response.status_code"] != "503" {
		t.Errorf("%v", q.attrs)
	}
}

func refusedRefresh(t *testing.T, all []span) {
	refreshes, logins := roots(all, "refresh", "rator-customer"), roots(all, "login", "rator-customer")
	if len(refreshes) != 1 || len(logins) != 2 {
		t.Fatalf("%v", names(all))
	}
	r, login := refreshes[0], logins[1]
	if !r.failed() || r.attrs["tokend.class"] != "rejected" || login.failed() {
		t.Errorf("%v", r.attrs)
	}
	if len(login.Links) != 1 || !bytes.Equal(login.Links[0].SpanId, r.SpanId) || !bytes.Equal(login.Links[0].TraceId, r.TraceId) {
		t.Errorf("the login is linked to %v", login.Links)
	}
}

func failedWrite(t *testing.T, all []span, target string) {
	logins := roots(all, "login", "rator-system") // it has no refresh token
	if len(logins) != 2 || logins[1].failed() {
		t.Fatalf("%v", names(all))
	}
	writes := below(all, logins[1])["write"]
	if len(writes) == 0 {
		t.Fatalf("%v", names(all))
	}
	if w := writes[0]; !w.failed() || w.Status.Message == "" || w.attrs["tokend.target"] != target || w.attrs["tokend.result"] != "failed" || w.attrs["tokend.problem"] != "sink_file" {
		t.Errorf("%v %v", w.attrs, w.Status)
	}
}

// noneIn looks for every secret of the household.
func (h *household) noneIn(t *testing.T, raw []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.secrets) < 15 || len(raw) < 1000 {
		t.Fatalf("%d secrets are known, and %d bytes were sent: that proves nothing", len(h.secrets), len(raw))
	}
	for secret := range h.secrets {
		if secret == "upstream" { // a password of GreyMatter's own documents, and part of a token's name
			continue
		}
		if bytes.Contains(raw, []byte(secret)) || bytes.Contains([]byte(h.log.String()), []byte(secret)) {
			t.Errorf("%q is in a span or in the log", secret)
		}
	}
}

// Tokens come first: with a collector that is away they are as quick as without.
func TestDaemonDoesNotWaitForACollector(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hanging:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(hanging); hung.Close() })
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	for name, endpoint := range map[string]string{"hanging": hung.URL, "away": away.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHousehold(t, block(endpoint, ""))
			for range 3 {
				h.refresh(t, "rator-operator", true)
			}
			began := time.Now()
			if err := h.end(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 8*time.Second { // 3 s of it are the flush's
				t.Errorf("the end took %s", took)
			}
			if log := h.log.String(); !regexp.MustCompile(`event=traces_lost .*spans=[1-9]`).MatchString(log) {
				t.Error("nothing is said of lost spans")
			}
		})
	}
}
