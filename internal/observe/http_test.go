package observe_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/token"
)

// source answers as its fields say.
type source struct {
	alive  func(ctx context.Context) error
	status []token.Status
}

func (s source) Alive(ctx context.Context) error { return s.alive(ctx) }
func (s source) Status() []token.Status          { return s.status }

func ask(s source, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	observe.Handler(s, nil).ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestHealthzSaysWhetherTheSchedulerIsAlive(t *testing.T) {
	t.Parallel()
	if w := ask(source{alive: func(context.Context) error { return nil }}, "GET", "/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("alive: %d %q", w.Code, w.Body)
	}
	w := ask(source{alive: func(context.Context) error { return errors.New("inner detail") }}, "GET", "/healthz")
	if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "inner") {
		t.Errorf("not alive: %d %q", w.Code, w.Body)
	}
}

func TestHealthzDoesNotWaitForASchedulerThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := ask(source{alive: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}, "GET", "/healthz")
		if w.Code != http.StatusServiceUnavailable || time.Since(began) != 2*time.Second {
			t.Errorf("%d after %v", w.Code, time.Since(began))
		}
	})
}

// A token that needs a person, or whose last attempt failed, is ready as long as
// what it holds is valid: consumers can work.
func TestReadyzNamesWhatConsumersCannotUse(t *testing.T) {
	t.Parallel()
	now := time.Now()
	status := func(state token.State, left time.Duration, sinks ...uint64) token.Status {
		s := token.Status{Name: "operator", State: state, Generation: 3, ExpiresAt: now.Add(left)}
		for _, generation := range sinks {
			s.Sinks = append(s.Sinks, token.SinkStatus{Kind: "file", Target: "/run/t", Generation: generation})
		}
		return s
	}
	named := func(name string, s token.Status) token.Status {
		s.Name = name
		return s
	}
	const late = "sink file /run/t does not hold it yet"
	for name, c := range map[string]struct {
		status []token.Status
		want   map[string]string
	}{
		"no tokens":                {nil, nil},
		"fresh":                    {[]token.Status{status(token.StateFresh, time.Hour, 3, 3)}, nil},
		"fresh, without sinks":     {[]token.Status{status(token.StateFresh, time.Hour)}, nil},
		"retrying, still valid":    {[]token.Status{status(token.StateRetrying, time.Hour, 3)}, nil},
		"needs a person, valid":    {[]token.Status{status(token.StateHuman, time.Hour, 3)}, nil},
		"needs a person, expired":  {[]token.Status{status(token.StateHuman, -time.Hour, 3)}, map[string]string{"operator": "human"}},
		"expired":                  {[]token.Status{status(token.StateExpired, -time.Second, 3)}, map[string]string{"operator": "expired"}},
		"never had one":            {[]token.Status{{Name: "operator", State: token.StatePending}}, map[string]string{"operator": "pending"}},
		"a sink is behind":         {[]token.Status{status(token.StateFresh, time.Hour, 3, 2)}, map[string]string{"operator": late}},
		"a sink was never written": {[]token.Status{status(token.StateFresh, time.Hour, 0)}, map[string]string{"operator": late}},
		"some of several": {
			[]token.Status{
				status(token.StateFresh, time.Hour, 3), named("b", status(token.StateFresh, time.Hour, 1)), named("c", status(token.StateExpired, -time.Hour)),
			},
			map[string]string{"b": late, "c": "expired"},
		},
	} {
		w := ask(source{status: c.status}, "GET", "/readyz?format=json")
		var got struct {
			Ready   bool
			Waiting map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %v: %q", name, err, w.Body)
		}
		wantCode := http.StatusOK
		if len(c.want) > 0 {
			wantCode = http.StatusServiceUnavailable
		}
		if w.Code != wantCode || got.Ready != (len(c.want) == 0) || !maps.Equal(got.Waiting, c.want) {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

// Scripts read the fields whether or not there is anything in them.
func TestReadyzHasAllFieldsAlways(t *testing.T) {
	t.Parallel()
	if got, want := ask(source{}, "GET", "/readyz?format=json").Body.String(), `{"ready":true,"tokens":0,"waiting":{}}`+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReplicaThatCouldNotTakeOverIsNotReady(t *testing.T) {
	t.Parallel()
	standby := source{status: []token.Status{{Name: "a", State: token.StateStandby}}}
	for trouble, want := range map[string]struct {
		code int
		text string
	}{
		"":                      {200, "ok, standing by: other replicas keep the tokens\n"},
		"may not create Leases": {503, "not ready: this replica could not take over: may not create Leases\n"},
	} {
		w := httptest.NewRecorder()
		observe.Handler(standby, func() string { return trouble }).ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		if w.Code != want.code || w.Body.String() != want.text {
			t.Errorf("trouble %q: %d %q, want %d %q", trouble, w.Code, w.Body, want.code, want.text)
		}
	}
}

func TestHandlerServesNothingElse(t *testing.T) {
	t.Parallel()
	s := source{alive: func(context.Context) error { return nil }}
	for _, path := range []string{"/healthz", "/readyz"} {
		if w := ask(s, "HEAD", path); w.Code != http.StatusOK {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"} {
			if w := ask(s, method, path); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow: %s", method, path, w.Code, w.Header().Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/", "/healthz/", "/healthz/x", "/readyz/", "/readyz/a/b", "/metrics/../debug/pprof/", "/debug/pprof/", "/debug/vars"} {
		if w := ask(s, "GET", path); w.Code == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
}

// replicated is what a replica sees that keeps one token of three.
func replicated(now time.Time) source {
	return source{
		alive: func(context.Context) error { return nil },
		status: []token.Status{
			{Name: "a", State: token.StateFresh, Generation: 3, ExpiresAt: now.Add(time.Hour)},
			{Name: "b", State: token.StateExpired, Generation: 2, ExpiresAt: now.Add(-time.Hour)},
			{Name: "c", State: token.StateStandby},
		},
	}
}

func TestHealthIsPlainForPeopleAndJSONForPrograms(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := replicated(time.Now())
		for _, c := range []struct {
			path, accept string
			code         int
			want         string
		}{
			{"/healthz", "", 200, "ok\n"},
			{"/healthz?format=json", "", 200, `{"alive":true}` + "\n"},
			{"/healthz", "application/json", 200, `{"alive":true}` + "\n"},
			{"/healthz", "text/html,application/xhtml+xml,application/json;q=0.9", 200, "ok\n"},
			{"/healthz?format=text", "application/json", 200, "ok\n"},
			{"/healthz?format=yaml", "", 400, "format is text or json\n"},
			{"/readyz", "*/*", 503, "[-] b: expired\nnot ready: 1 of 3 tokens\n"},
			{"/readyz?verbose", "", 503, "[+] a: fresh, expires in 1h0m0s\n[-] b: expired\n[=] c: another replica keeps it\nnot ready: 1 of 3 tokens\n"},
			{"/readyz?verbose=false", "", 503, "[-] b: expired\nnot ready: 1 of 3 tokens\n"},
			{"/readyz", "application/json", 503, `{"ready":false,"tokens":3,"standby":1,"waiting":{"b":"expired"}}` + "\n"},
			{"/readyz/a", "", 200, "[+] a: fresh, expires in 1h0m0s\n"},
			{"/readyz/b", "", 503, "[-] b: expired\n"},
			{"/readyz/c", "", 200, "[=] c: another replica keeps it\n"},
			{"/readyz/c", "application/json", 200, `{"token":"c","ready":true,"state":"standby"}` + "\n"},
			{"/readyz/b?format=json", "", 503, `{"token":"b","ready":false,"state":"expired","expires_at":"` + s.status[1].ExpiresAt.Format(time.RFC3339Nano) + `","reason":"expired"}` + "\n"},
			{"/readyz/d", "", 404, "no such token\n"},
			{"/readyz/d?format=json", "", 404, `{"error":"no such token"}` + "\n"},
		} {
			r := httptest.NewRequest("GET", c.path, nil)
			r.Header.Set("Accept", c.accept)
			w := httptest.NewRecorder()
			observe.Handler(s, nil).ServeHTTP(w, r)
			if w.Code != c.code || w.Body.String() != c.want {
				t.Errorf("%s for %q: %d %q, want %d %q", c.path, c.accept, w.Code, w.Body, c.code, c.want)
			}
		}
	})
}

// A standby must take its place behind a load balancer and in a rollout.
func TestAStandbyIsReadyAndSaysSo(t *testing.T) {
	t.Parallel()
	s := replicated(time.Now())
	w := ask(source{status: s.status[2:]}, "GET", "/readyz")
	if w.Code != 200 || w.Body.String() != "ok, standing by: other replicas keep the tokens\n" {
		t.Errorf("all are kept by others: %d %q", w.Code, w.Body)
	}
	w = ask(source{status: []token.Status{s.status[0], s.status[2]}}, "GET", "/readyz")
	if w.Code != 200 || w.Body.String() != "ok, and other replicas keep 1 of 2 tokens\n" {
		t.Errorf("some are kept by others: %d %q", w.Code, w.Body)
	}
}

func TestReadyzOfAFleetThatIsDownStaysShort(t *testing.T) {
	t.Parallel()
	var s source
	for i := range 10_000 {
		s.status = append(s.status, token.Status{Name: fmt.Sprintf("tenant-%05d", i), State: token.StatePending})
	}
	w := ask(s, "GET", "/readyz")
	if lines := strings.Count(w.Body.String(), "\n"); lines != 52 || !strings.HasSuffix(w.Body.String(), "and 9950 more\nnot ready: 10000 of 10000 tokens\n") {
		t.Errorf("%d lines: %s", lines, w.Body)
	}
	if lines := strings.Count(ask(s, "GET", "/readyz?verbose").Body.String(), "\n"); lines != 10_001 {
		t.Errorf("%d lines where all were asked for", lines)
	}
}
