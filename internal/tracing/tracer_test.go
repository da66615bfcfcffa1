package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/tracing"
)

type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newTracer(o tracing.Options) (*tracing.Tracer, *logbook) {
	var l logbook
	o.Logger = slog.New(slog.NewTextHandler(&l, nil))
	if o.Sample == 0 {
		o.Sample = 1
	}
	return tracing.New(o), &l
}

// ended has Run flush what it was told of, and returns.
func ended(t *testing.T, tracer *tracing.Tracer) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tracer.Run(ctx)
}

// begin is an instant with nanoseconds, since OTLP counts those.
var begin = time.Date(2026, 5, 4, 12, 0, 0, 123_456_789, time.UTC)

func at(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }

func refreshed() refresher.Event {
	return refresher.Event{Kind: refresher.Refreshed, At: at(36), Token: "operator", Provider: "rator", Generation: 7, Took: 30 * time.Millisecond,
		Course: refresher.Course{Grant: "password", Started: at(0), Intended: at(4), Asked: at(5), Answered: at(30), Saved: at(35)}}
}

func written(token string, kind refresher.Kind, answered time.Time, err error) refresher.Event {
	return refresher.Event{Kind: kind, At: at(40), Took: 8 * time.Millisecond, Token: token, Provider: "rator", Generation: 7,
		SinkKind: "file", Target: "/run/t", Course: refresher.Course{Answered: answered}, Err: err}
}

// The write of a quick sink is told before the attempt that it belongs to.
func TestPartsOfAnAttemptFindEachOtherInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]refresher.Event{
		"attempt first": {refreshed(), written("operator", refresher.SinkWritten, at(30), nil)},
		"write first":   {written("operator", refresher.SinkWritten, at(30), nil), refreshed()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t)
			tracer, _ := newTracer(tracing.Options{Endpoint: c.URL, Version: "1.2.3"})
			for _, e := range events {
				tracer.Observe(e)
			}
			ended(t, tracer)
			all := c.all()
			root := roots(all, "refresh", "operator")
			if len(all) != 5 || len(root) != 1 {
				t.Fatalf("spans %v", names(all))
			}
			spans(t, root[0], below(all, root[0]))
			if c.resource["service.name"] != "tokend" || c.resource["service.version"] != "1.2.3" || c.resource["service.instance.id"] == "" {
				t.Errorf("resource %v", c.resource)
			}
		})
	}
}

func spans(t *testing.T, root span, children map[string][]span) {
	t.Helper()
	for name, want := range map[string][2]time.Time{
		"intent": {at(0), at(4)}, "request": {at(5), at(30)}, "commit": {at(30), at(35)}, "write": {at(32), at(40)},
	} {
		got := children[name]
		if len(got) != 1 {
			t.Errorf("%d spans %s", len(got), name)
			continue
		}
		if !got[0].from().Equal(want[0]) || !got[0].to().Equal(want[1]) || got[0].failed() {
			t.Errorf("%s from %s to %s, failed %t", name, got[0].from(), got[0].to(), got[0].failed())
		}
	}
	if !root.from().Equal(at(0)) || !root.to().Equal(at(36)) || root.failed() {
		t.Errorf("the root is from %s to %s, failed %t", root.from(), root.to(), root.failed())
	}
	want := map[string]string{"tokend.token": "operator", "tokend.provider": "rator", "tokend.grant": "password", "tokend.generation": "7"}
	for key, value := range want {
		if root.attrs[key] != value {
			t.Errorf("%s is %q", key, root.attrs[key])
		}
	}
	if w := children["write"][0].attrs; w["tokend.sink"] != "file" || w["tokend.target"] != "/run/t" || w["tokend.result"] != "written" {
		t.Errorf("the write is %v", w)
	}
}

func TestEachFailureIsToldWhereItWas(t *testing.T) {
	t.Parallel()
	refusal := &token.Failure{Class: token.Rejected, Reason: "oauth_error", Status: 400, Code: "invalid_grant"}
	course := refresher.Course{Grant: "password", Started: at(0), Intended: at(4), Asked: at(5), Answered: at(30), Saved: at(35)}
	for name, c := range map[string]struct {
		event  refresher.Event
		root   string
		failed []string
		spans  []string
		attrs  map[string]string // of the root
	}{
		"refused": {
			event: refresher.Event{Kind: refresher.AttemptFailed, Detail: "refresh", Class: token.Rejected, Err: refusal, Course: course},
			root:  "refresh", failed: []string{"refresh", "request"}, spans: []string{"commit", "intent", "refresh", "request"},
			attrs: map[string]string{"error.type": "oauth_error", "tokend.class": "rejected", "tokend.problem": "invalid_grant"},
		},
		"the state takes no intent": {
			event: refresher.Event{Kind: refresher.AttemptFailed, Detail: "refresh", Class: token.NotSent, Err: errors.New("no intent"),
				Course: refresher.Course{Started: at(0), Intended: at(4), IntentErr: errors.New("no space left"), Answered: at(4)}},
			root: "refresh", failed: []string{"intent", "refresh"}, spans: []string{"intent", "refresh"},
			attrs: map[string]string{"tokend.class": "not_sent"},
		},
		"the state takes no answer": {
			event: refresher.Event{Kind: refresher.LoggedIn, Course: refresher.Course{Started: at(0), Asked: at(5), Answered: at(30), Saved: at(35), SaveErr: errors.New("no space left")}},
			root:  "login", failed: []string{"commit"}, spans: []string{"commit", "login", "request"},
		},
		"another replica was quicker": {
			event: refresher.Event{Kind: refresher.Fenced, Course: course},
			root:  "refresh", failed: []string{"refresh"}, spans: []string{"commit", "intent", "refresh", "request"},
			attrs: map[string]string{"error.type": "fenced"},
		},
		"a clock that was set back": {
			event: refresher.Event{Kind: refresher.AttemptFailed, Detail: "login", Class: token.Ambiguous, Err: errors.New("x"),
				Course: refresher.Course{Started: at(90_000), Asked: at(90_001), Answered: at(30)}},
			root: "login", failed: []string{"login", "request"}, spans: []string{"login", "request"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newCollector(t)
			tracer, _ := newTracer(tracing.Options{Endpoint: srv.URL})
			c.event.At, c.event.Token = at(36), "operator"
			tracer.Observe(c.event)
			ended(t, tracer)
			var got, failed []string
			for _, s := range srv.all() {
				got = append(got, s.Name)
				if s.failed() {
					failed = append(failed, s.Name)
				}
				if s.to().Before(s.from()) {
					t.Errorf("%s ends before it begins", s.Name)
				}
				if s.Name == c.root {
					for key, want := range c.attrs {
						if s.attrs[key] != want {
							t.Errorf("%s is %q, not %q", key, s.attrs[key], want)
						}
					}
				}
			}
			slices.Sort(got)
			slices.Sort(failed)
			if !slices.Equal(got, c.spans) || !slices.Equal(failed, c.failed) {
				t.Errorf("spans %v, failed %v", got, failed)
			}
		})
	}
}

// A re-login has a trace of its own, and names the refresh that was refused.
func TestLoginAfterARefusedRefreshIsLinkedToIt(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tracer, _ := newTracer(tracing.Options{Endpoint: c.URL})
	tracer.Observe(refresher.Event{Kind: refresher.RefreshDenied, At: at(11), Token: "a", Class: token.Rejected, Err: errors.New("refused"),
		Course: refresher.Course{Started: at(0), Intended: at(1), Asked: at(1), Answered: at(10)}})
	tracer.Observe(refresher.Event{Kind: refresher.LoggedIn, At: at(30), Token: "a",
		Course: refresher.Course{Started: at(12), Asked: at(12), Answered: at(20), Saved: at(30), Follows: at(10)}})
	ended(t, tracer)
	refresh, login := roots(c.all(), "refresh", "a"), roots(c.all(), "login", "a")
	if len(refresh) != 1 || len(login) != 1 || len(login[0].Links) != 1 {
		t.Fatalf("spans %v", names(c.all()))
	}
	link := span{Span: &tracepb.Span{TraceId: login[0].Links[0].TraceId, SpanId: login[0].Links[0].SpanId}}
	if link.trace() != refresh[0].trace() || link.id() != refresh[0].id() || login[0].trace() == refresh[0].trace() {
		t.Errorf("the link leads to %s/%s", link.trace(), link.id())
	}
}

// A repair, hours after the refresh, would stretch its trace over hours.
func TestRepairHasATraceOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tracer, _ := newTracer(tracing.Options{Endpoint: c.URL})
	tracer.Observe(refreshed())
	tracer.Observe(written("operator", refresher.SinkRepaired, time.Time{}, nil))
	tracer.Observe(written("operator", refresher.SinkFailed, time.Time{}, errors.New("permission denied")))
	ended(t, tracer)
	writes := roots(c.all(), "write", "operator")
	if len(writes) != 2 || writes[0].trace() == writes[1].trace() || writes[0].trace() == roots(c.all(), "refresh", "operator")[0].trace() {
		t.Fatalf("spans %v", names(c.all()))
	}
	if w := writes[0]; w.attrs["tokend.result"] != "repaired" || w.failed() {
		t.Errorf("the repair is %v", w.attrs)
	}
	if w := writes[1]; w.attrs["tokend.result"] != "failed" || !w.failed() || w.Status.Message != "permission denied" || w.attrs["tokend.problem"] == "" {
		t.Errorf("the failure is %v, %q", w.attrs, w.Status.Message)
	}
}

func TestSampleTakesWholeTraces(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tracer, _ := newTracer(tracing.Options{Endpoint: c.URL, Sample: 0.25})
	const attempts = 400
	for i := range attempts {
		e, name := refreshed(), fmt.Sprintf("t%d", i)
		e.Token = name
		tracer.Observe(written(name, refresher.SinkWritten, e.Course.Answered, nil))
		tracer.Observe(e)
	}
	ended(t, tracer)
	all := c.all()
	n := 0
	for i := range attempts {
		name := fmt.Sprintf("t%d", i)
		mine := slices.DeleteFunc(slices.Clone(all), func(s span) bool { return s.trace() != firstTrace(all, name) })
		if len(mine) != 0 && len(mine) != 5 {
			t.Errorf("%s is traced in part: %v", name, names(mine))
		}
		n += len(mine) / 5
	}
	if n < attempts/8 || n > attempts/2 {
		t.Errorf("%d of %d are traced", n, attempts)
	}
}

func firstTrace(all []span, token string) string {
	for _, s := range all {
		if s.attrs["tokend.token"] == token {
			return s.trace()
		}
	}
	return "none"
}

// What is no attempt and no write, or was no attempt in the end, is not traced.
func TestOtherEventsHaveNoSpan(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	tracer, _ := newTracer(tracing.Options{Endpoint: c.URL})
	for _, k := range []refresher.Kind{refresher.Resumed, refresher.HookRan, refresher.Expired, refresher.Fenced, refresher.StateFailed} {
		tracer.Observe(refresher.Event{Kind: k, At: at(1), Token: "a"})
	}
	ended(t, tracer)
	if all := c.all(); len(all) != 0 {
		t.Errorf("spans %v", names(all))
	}
}

func TestHeadersGoToTheCollectorAlone(t *testing.T) {
	t.Parallel()
	var astray atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	t.Cleanup(elsewhere.Close)
	c := newCollector(t)
	headers := map[string]token.Secret{"Authorization": token.NewSecret("Bearer hunter2")}
	tracer, _ := newTracer(tracing.Options{Endpoint: c.URL + "/base/", Headers: headers})
	tracer.Observe(refreshed())
	ended(t, tracer)
	if len(c.headers) != 1 || c.headers[0].Get("Authorization") != "Bearer hunter2" || c.headers[0].Get("Path") != "POST /base/v1/traces" ||
		c.headers[0].Get("Content-Type") != "application/x-protobuf" {
		t.Errorf("the collector was sent %v", c.headers)
	}
	redirecting := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	t.Cleanup(redirecting.Close)
	tracer, log := newTracer(tracing.Options{Endpoint: redirecting.URL, Headers: headers})
	tracer.Observe(refreshed())
	ended(t, tracer)
	if astray.Load() != 0 || !strings.Contains(log.String(), "answered HTTP 307") || strings.Contains(log.String(), "hunter2") {
		t.Errorf("%d went elsewhere; log:\n%s", astray.Load(), log)
	}
}

// A collector can be made to say back what it was sent.
func TestAnswerOfTheCollectorIsNotLogged(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "bad: "+r.Header.Get("Authorization"), http.StatusForbidden)
	}))
	t.Cleanup(echo.Close)
	tracer, log := newTracer(tracing.Options{Endpoint: echo.URL, Headers: map[string]token.Secret{"Authorization": token.NewSecret("hunter2")}})
	tracer.Observe(refreshed())
	ended(t, tracer)
	if got := log.String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "answered HTTP 403") || !strings.Contains(got, "spans=4") {
		t.Errorf("log:\n%s", got)
	}
}

// OTLP, "Partial Success": what is rejected is not to be sent again.
func TestSpansThatACollectorRejectsAreCounted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		lost   string // empty: none
	}{
		"all taken":        {"", ""},
		"an empty partial": {"\x0a\x00", ""},
		"a warning":        {"\x0a\x04\x12\x02no", ""},
		"two rejected":     {"\x0a\x06\x08\x02\x12\x02no", "spans=2\n"},
		"message first":    {"\x0a\x06\x12\x02no\x08\x03", "spans=3\n"},
		"absurdly many":    {"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "spans=4\n"},
		"truncated":        {"\x0a\x06\x08", ""},
		"JSON":             {`{"partialSuccess":{"rejectedSpans":"2"}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				_, _ = w.Write([]byte(c.answer))
			}))
			t.Cleanup(srv.Close)
			tracer, log := newTracer(tracing.Options{Endpoint: srv.URL})
			tracer.Observe(refreshed())
			ended(t, tracer)
			if got := log.String(); requests.Load() != 1 || (c.lost == "") != (got == "") || !strings.Contains(got, c.lost) {
				t.Errorf("%d requests; log:\n%s", requests.Load(), got)
			}
		})
	}
}

// OTEL_… of the surroundings is meant for the programs that read it.
func TestEnvironmentChangesNothingButTheResource(t *testing.T) {
	c := newCollector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "X-Env=yes")
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	t.Setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "0")
	t.Setenv("OTEL_SDK_DISABLED", "true")
	t.Setenv("OTEL_SERVICE_NAME", "other")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "k8s.pod.name=tokend-0")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	tracer, _ := newTracer(tracing.Options{Endpoint: c.URL})
	tracer.Observe(refreshed())
	ended(t, tracer)
	if len(c.all()) != 4 || c.headers[0].Get("X-Env") != "" || c.all()[3].attrs["tokend.token"] != "operator" {
		t.Errorf("spans %v, headers %v", names(c.all()), c.headers)
	}
	if c.resource["service.name"] != "tokend" || c.resource["k8s.pod.name"] != "tokend-0" {
		t.Errorf("resource %v", c.resource)
	}
}
