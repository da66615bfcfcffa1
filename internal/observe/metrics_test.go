package observe_test

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// house is a daemon as metrics see it.
type house struct {
	status []token.Status
	facts  observe.Facts
}

func (h *house) Status() []token.Status { return h.status }
func (h *house) Facts() observe.Facts   { return h.facts }
func (h *house) Each(f func(*token.Status)) {
	for _, s := range h.status {
		f(&s)
	}
}

// scrape returns what a Prometheus gets that takes no compression.
func scrape(t testing.TB, m *observe.Metrics, d observe.Daemon) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(d).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		t.Fatalf("%d, %s", w.Code, w.Header().Get("Content-Type"))
	}
	return w.Body.String()
}

func parse(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.LegacyValidation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return families
}

// busy is a daemon to which everything has happened that is counted.
func busy(now time.Time) (*house, []refresher.Event) {
	h := &house{
		status: []token.Status{
			{
				Name: "ann", Provider: "rator", State: token.StateFresh, Generation: 7, IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Hour),
				NextAttempt: now.Add(30 * time.Minute), Due: now.Add(30 * time.Minute), Hook: &token.HookStatus{Generation: 7}, Probe: &token.ProbeStatus{At: now, OK: true},
				Sinks: []token.SinkStatus{
					{Kind: "file", Target: "/run/a", Generation: 7},
					{Kind: "vault_kv", Target: `secret/"a\` + "\n", Generation: 6, LastError: &token.Problem{}},
				},
			},
			{
				Name: "ben", Provider: "rator", State: token.StateRetrying, Generation: 2, IssuedAt: now.Add(-time.Hour), ExpiresAt: now.Add(time.Minute),
				NextAttempt: now, Due: now.Add(-20 * time.Minute), Failures: 3, Hook: &token.HookStatus{LastError: &token.Problem{}},
				Probe: &token.ProbeStatus{At: now, LastError: &token.Problem{}}, Sinks: []token.SinkStatus{{Kind: "file", Target: "/run/b", Generation: 2}},
			},
			{Name: "cas", Provider: "musement", State: token.StateHuman, Generation: 1, IssuedAt: now.Add(-2 * time.Hour), ExpiresAt: now.Add(-time.Hour), InFlight: true},
			{Name: "dot", Provider: "musement", State: token.StateStandby},
		},
		facts: observe.Facts{
			Tokens: 4, LoadedAt: now.Add(-time.Minute), Refused: true, ConfigHash: "0123456789abcdef",
			Certificates: []observe.Certificate{{Provider: "rator", Use: "client", NotAfter: now.Add(24 * time.Hour)}},
			Replica:      &observe.Replica{Lease: "tokend", Shards: 3, Held: []int{1}, Members: 2},
		},
	}
	failure := &token.Failure{Class: token.Transient, Status: 429}
	return h, []refresher.Event{
		{Kind: refresher.LoggedIn, Token: "ann", Provider: "rator", Next: now.Add(-2 * time.Hour), Took: 120 * time.Millisecond},
		{Kind: refresher.Refreshed, Token: "ann", Provider: "rator", Next: now.Add(30 * time.Minute), Took: 20 * time.Millisecond},
		{Kind: refresher.Refreshed, Token: "ben", Provider: "rator", Next: now.Add(-20 * time.Minute), Took: 20 * time.Millisecond},
		{Kind: refresher.AttemptFailed, Token: "ben", Provider: "rator", Class: token.Transient, Detail: "refresh", Took: time.Second, Err: failure},
		{Kind: refresher.RefreshDenied, Token: "ben", Provider: "rator", Class: token.Rejected},
		{Kind: refresher.AttemptFailed, Token: "ben", Provider: "rator", Class: token.Misconfigured, Detail: "login", Took: time.Second},
		{Kind: refresher.Throttled, Token: "ben", Provider: "rator", At: now, Took: 90 * time.Second},
		{Kind: refresher.SinkWritten, Token: "ann", Provider: "rator", SinkKind: "file", Target: "/run/a", ExpiresAt: now.Add(time.Hour), Took: 300 * time.Microsecond, SinceAnswer: 2 * time.Millisecond},
		{Kind: refresher.SinkWritten, Token: "ann", Provider: "rator", SinkKind: "vault_kv", Target: `secret/"a\` + "\n", ExpiresAt: now.Add(time.Minute), Took: 3 * time.Millisecond},
		{Kind: refresher.SinkFailed, Token: "ann", Provider: "rator", SinkKind: "vault_kv", Target: `secret/"a\` + "\n", Took: time.Second, Err: errors.New("sealed")},
		{Kind: refresher.SinkRepaired, Token: "ben", Provider: "rator", SinkKind: "file", Target: "/run/b", ExpiresAt: now.Add(time.Minute), Took: time.Millisecond},
		{Kind: refresher.SinkFight, Token: "ben", Provider: "rator", SinkKind: "file", Target: "/run/b", ExpiresAt: now.Add(time.Minute), Took: time.Millisecond},
		{Kind: refresher.SinkUnchanged, Token: "ben", Provider: "rator", SinkKind: "file", Target: "/run/b", ExpiresAt: now.Add(time.Minute), Took: time.Millisecond},
		{Kind: refresher.HookRan, Token: "ann", Provider: "rator"},
		{Kind: refresher.HookFailed, Token: "ben", Provider: "rator"},
		{Kind: refresher.ProbeRefused, Token: "ben", Provider: "rator"},
		{Kind: refresher.ProbeFailed, Token: "ben", Provider: "rator"},
		{Kind: refresher.StateFailed, Token: "ben"},
		{Kind: refresher.Expired, Token: "cas", Provider: "musement"},
		{Kind: refresher.ClockStepped},
	}
}

func counted(perTokenUpTo int, events []refresher.Event) *observe.Metrics {
	m := observe.NewMetrics(observe.MetricsOptions{Version: "1.2.3", PerTokenUpTo: perTokenUpTo})
	for _, e := range events {
		m.Observe(e)
	}
	return m
}

func TestMetricsSayWhatHappenedAndWhatIsTheCase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		h, events := busy(now)
		got := strings.Split(scrape(t, counted(10, events), h), "\n")
		at := func(d time.Duration) string {
			return strconv.FormatInt(now.Add(d).Unix(), 10)
		}
		const ann, ben, cas = `token="ann",provider="rator"`, `token="ben",provider="rator"`, `token="cas",provider="musement"`
		const vault = ann + `,sink="vault_kv",target="secret/\"a\\\n"`
		for _, want := range []string{
			`tokend_token_valid{` + ann + `} 1`, `tokend_token_valid{` + cas + `} 0`,
			`tokend_token_expiry_timestamp_seconds{` + ann + `} ` + at(time.Hour),
			`tokend_token_issued_timestamp_seconds{` + ann + `} ` + at(-time.Hour),
			`tokend_token_refresh_due_timestamp_seconds{` + ann + `} ` + at(30*time.Minute),
			`tokend_token_refresh_due_timestamp_seconds{` + ben + `} ` + at(-20*time.Minute),
			`tokend_token_next_attempt_timestamp_seconds{` + ben + `} ` + at(0),
			`tokend_token_generation{` + ann + `} 7`,
			`tokend_token_consecutive_failures{` + ben + `} 3`,
			`tokend_token_needs_human{` + ann + `} 0`, `tokend_token_needs_human{` + cas + `} 1`,
			`tokend_token_hook_failing{` + ann + `} 0`, `tokend_token_hook_failing{` + ben + `} 1`,
			`tokend_token_probe_success{` + ann + `} 1`, `tokend_token_probe_success{` + ben + `} 0`,
			`tokend_token_requests_total{` + ann + `,kind="login",result="success"} 1`,
			`tokend_token_requests_total{` + ben + `,kind="login",result="success"} 0`,
			`tokend_token_requests_total{` + ben + `,kind="login",result="misconfigured"} 1`,
			`tokend_token_requests_total{` + ben + `,kind="refresh",result="rejected"} 1`,
			`tokend_token_requests_total{` + ben + `,kind="refresh",result="transient"} 1`,
			`tokend_token_sink_generation{` + vault + `} 6`,
			`tokend_token_sink_expiry_timestamp_seconds{` + vault + `} ` + at(time.Minute),
			`tokend_token_sink_expiry_timestamp_seconds{` + ann + `,sink="file",target="/run/a"} ` + at(time.Hour),
			`tokend_token_sink_failing{` + vault + `} 1`,
			`tokend_token_sink_writes_total{` + vault + `,result="failed"} 1`,
			`tokend_token_sink_writes_total{` + ben + `,sink="file",target="/run/b",result="repaired"} 2`,
			`tokend_token_sink_writes_total{` + ben + `,sink="file",target="/run/b",result="unchanged"} 1`,
			`tokend_tokens{provider="rator",state="fresh"} 1`, `tokend_tokens{provider="musement",state="standby"} 1`, `tokend_tokens{provider="rator",state="expired"} 0`,
			`tokend_provider_requests_in_flight{provider="musement"} 1`, `tokend_provider_requests_in_flight{provider="rator"} 0`,
			`tokend_provider_tokens_due{provider="rator"} 1`, `tokend_provider_tokens_late{provider="rator"} 1`,
			`tokend_provider_earliest_expiry_timestamp_seconds{provider="rator"} ` + at(time.Minute),
			`tokend_provider_sinks{provider="rator"} 3`, `tokend_provider_sinks_behind{provider="rator"} 1`, `tokend_provider_sinks_failing{provider="rator"} 1`,
			`tokend_provider_requests_total{kind="refresh",provider="rator",result="success"} 2`,
			`tokend_provider_requests_total{kind="login",provider="musement",result="rejected"} 0`,
			`tokend_provider_request_duration_seconds_count{kind="refresh",provider="rator"} 3`,
			`tokend_provider_throttled_total{provider="rator"} 1`, `tokend_provider_throttled_total{provider="musement"} 0`,
			`tokend_sink_writes_total{provider="rator",result="repaired",sink="file"} 2`,
			`tokend_sink_write_duration_seconds_count{sink="file"} 4`,
			`tokend_delivery_duration_seconds_count{sink="file"} 1`, `tokend_delivery_duration_seconds_bucket{sink="file",le="0.0025"} 1`, `tokend_delivery_duration_seconds_bucket{sink="file",le="0.001"} 0`,
			fmt.Sprintf("tokend_provider_retry_after_timestamp_seconds{provider=\"rator\"} %v", float64(now.Add(90*time.Second).Unix())),
			`tokend_provider_retry_after_timestamp_seconds{provider="musement"} 0`,
			`tokend_hook_runs_total{provider="rator",result="failed"} 1`, `tokend_hook_runs_total{provider="rator",result="success"} 1`,
			`tokend_probe_failures_total{provider="rator",result="refused"} 1`, `tokend_probe_failures_total{provider="rator",result="failed"} 1`,
			`tokend_state_failures_total 1`, `tokend_events_total{event="expired"} 1`, `tokend_events_total{event="panicked"} 0`,
			`tokend_config_last_reload_successful 0`, `tokend_config_last_reload_success_timestamp_seconds ` + at(-time.Minute),
			`tokend_config_info{hash="0123456789abcdef"} 1`,
			`tokend_certificate_expiry_timestamp_seconds{provider="rator",use="client"} ` + at(24*time.Hour),
			`tokend_ha_standby{lease="tokend"} 0`, `tokend_ha_shards{lease="tokend"} 3`, `tokend_ha_shards_held{lease="tokend"} 1`, `tokend_ha_members{lease="tokend"} 2`,
			`tokend_ha_lease_trouble{lease="tokend"} 0`, `tokend_ha_shard_held{lease="tokend",shard="1"} 1`, `tokend_ha_shard_held{lease="tokend",shard="2"} 0`,
		} {
			if !slices.Contains(got, want) {
				t.Errorf("there is no line %s", want)
			}
		}
		for _, line := range got {
			if strings.Contains(line, `token="dot"`) {
				t.Errorf("another replica keeps it, and says the same: %s", line)
			}
		}
	})
}

// What cannot be parsed is a scrape that fails as a whole.
func TestMetricsParseAndKeepPrometheusConventions(t *testing.T) {
	t.Parallel()
	h, events := busy(time.Now())
	text := scrape(t, counted(10, events), h)
	seen := map[string]bool{}
	for _, f := range parse(t, text) {
		for _, series := range f.GetMetric() {
			id := f.GetName() + fmt.Sprint(series.GetLabel())
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestSumsAloneNameNoTokenAndNoTarget(t *testing.T) {
	t.Parallel()
	h, events := busy(time.Now())
	all, sums := scrape(t, counted(10, events), h), scrape(t, counted(0, events), h)
	for _, name := range []string{"tokend_token_", "/run/a", `"ann"`, "secret/"} {
		if strings.Contains(sums, name) {
			t.Errorf("%q is in the sums", name)
		}
		if !strings.Contains(all, name) {
			t.Errorf("%q is not in the whole, so its absence says nothing", name)
		}
	}
	for name := range parse(t, all) {
		if !strings.HasPrefix(name, "tokend_token_") && !strings.Contains(sums, "\n"+"# TYPE "+name+" ") {
			t.Errorf("%s is not of a token, and missing from the sums", name)
		}
	}
}

// A first failure must be seen as an increase, from a series that was 0.
func TestProvidersHaveTheirSeriesFromTheFirstScrape(t *testing.T) {
	t.Parallel()
	h, _ := busy(time.Now())
	text := scrape(t, counted(10, nil), h)
	for _, class := range []token.Class{token.NotSent, token.Ambiguous, token.Transient, token.Rejected, token.Misconfigured} {
		if want := fmt.Sprintf(`tokend_provider_requests_total{kind="login",provider="rator",result=%q} 0`, class.String()); !strings.Contains(text, want) {
			t.Errorf("there is no %s", want)
		}
	}
	for name, kind := range kinds(t) {
		if want := fmt.Sprintf("tokend_events_total{event=%q} 0", string(kind)); !strings.Contains(text, want) {
			t.Errorf("%s: there is no %s", name, want)
		}
	}
}

func TestSeriesOfWhatIsGoneEnd(t *testing.T) {
	t.Parallel()
	h, events := busy(time.Now())
	m := counted(10, events)
	before := scrape(t, m, h)
	h.status = h.status[2:] // rator and its tokens are no longer configured
	m.Observe(refresher.Event{Kind: refresher.Retired, Token: "ann", Provider: "rator"})
	after := scrape(t, m, h)
	for _, word := range []string{`provider="rator"`, `token="ann"`, `token="ben"`} {
		after, _, _ := strings.Cut(after, "# HELP tokend_certificate") // the facts say their own
		if !strings.Contains(before, word) || strings.Contains(after, word) {
			t.Errorf("%s before: %t, after: %t", word, strings.Contains(before, word), strings.Contains(after, word))
		}
	}
	if again, _ := busy(time.Now()); !strings.Contains(scrape(t, m, again), `tokend_token_requests_total{token="ann",provider="rator",kind="login",result="success"} 0`) {
		t.Error("a token that comes back does not count anew")
	}
}

func TestTokensComeAndGoBetweenScrapes(t *testing.T) {
	t.Parallel()
	m := observe.NewMetrics(observe.MetricsOptions{PerTokenUpTo: 10})
	h, events := busy(time.Now())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 200 {
				for _, e := range events {
					m.Observe(e)
				}
			}
		})
	}
	for i := range 40 {
		scrape(t, m, &house{status: slices.Clone(h.status[i%2:]), facts: h.facts})
	}
	writers.Wait()
	text := scrape(t, m, h)
	if want := `tokend_token_requests_total{token="ben",provider="rator",kind="refresh",result="transient"} 800`; !strings.Contains(text, want) {
		t.Errorf("counts were lost: no %s", want)
	}
}

func TestScrapesAreCompressedForWhoTakesIt(t *testing.T) {
	t.Parallel()
	h, events := busy(time.Now())
	m := counted(10, events)
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	m.Handler(h).ServeHTTP(w, r)
	unpacked, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatalf("%v, %s", err, w.Header())
	}
	text, err := io.ReadAll(unpacked)
	if err != nil || !strings.Contains(string(text), "tokend_token_valid") {
		t.Errorf("%v: %.200s", err, text)
	}
}

// slow blocks a scrape until it is let go.
type slow struct {
	*house
	began, goOn chan struct{}
}

func (s slow) Status() []token.Status {
	s.began <- struct{}{}
	<-s.goOn
	return s.house.Status()
}

func TestScrapesAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	h, _ := busy(time.Now())
	s := slow{house: h, began: make(chan struct{}), goOn: make(chan struct{})}
	handler := counted(10, nil).Handler(s)
	get := func() int {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return w.Code
	}
	var scrapers sync.WaitGroup
	for range 4 {
		scrapers.Go(func() { get() })
		<-s.began
	}
	if code := get(); code != 503 {
		t.Errorf("the fifth is answered with %d", code)
	}
	close(s.goOn)
	scrapers.Wait()
}

// fleet is n fresh tokens with a sink each, and what a refresh of each tells.
func fleet(n int) (*house, []refresher.Event) {
	now := time.Now()
	h := &house{}
	var events []refresher.Event
	for i := range n {
		name, target := fmt.Sprintf("tenant-%05d", i), fmt.Sprintf("/run/tokend/tenants/%05d/token", i)
		h.status = append(h.status, token.Status{Name: name, Provider: "rator", State: token.StateFresh, Generation: 3, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
			NextAttempt: now.Add(time.Minute), Sinks: []token.SinkStatus{{Kind: "file", Target: target, Generation: 3}}})
		events = append(events,
			refresher.Event{Kind: refresher.Refreshed, Token: name, Provider: "rator", Next: now.Add(time.Minute), Took: 20 * time.Millisecond},
			refresher.Event{Kind: refresher.SinkWritten, Token: name, Provider: "rator", SinkKind: "file", Target: target, ExpiresAt: now.Add(time.Hour), Took: time.Millisecond, SinceAnswer: time.Millisecond})
	}
	return h, events
}

// A refresh of a fleet's token passes here some thousand times a second.
func TestCountingAllocatesNothing(t *testing.T) {
	_, events := fleet(1)
	m := counted(10, events)
	if n := testing.AllocsPerRun(100, func() {
		for _, e := range events {
			m.Observe(e)
		}
	}); n > 0 {
		t.Errorf("%v allocations a refresh", n)
	}
}

func BenchmarkObserveRefresh(b *testing.B) {
	_, events := fleet(10_000)
	m := counted(10, events)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Observe(events[i%len(events)])
		m.Observe(events[(i+1)%len(events)])
		i += 2
	}
}

// discard is a scraper that is as fast as can be.
type discard struct{ *httptest.ResponseRecorder }

func (discard) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkScrapeOfTenThousandTokens(b *testing.B) {
	h, events := fleet(10_000)
	m := counted(10, events)
	handler := m.Handler(h)
	for _, encoding := range []string{"identity", "gzip"} {
		b.Run(encoding, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("GET", "/metrics", nil)
				r.Header.Set("Accept-Encoding", encoding)
				handler.ServeHTTP(discard{httptest.NewRecorder()}, r)
			}
		})
	}
}

// A fleet has no series of its tokens, as 14 for each are a lot, until it is small
// enough again.
func TestSeriesOfTokensHaveABound(t *testing.T) {
	t.Parallel()
	h, events := busy(time.Now())
	m := counted(4, events)
	perToken := func() (n int) {
		for line := range strings.SplitSeq(scrape(t, m, h), "\n") {
			if strings.HasPrefix(line, "tokend_token_") {
				n++
			}
		}
		return n
	}
	few := perToken()
	h.facts.Tokens = 5
	if n := perToken(); few < 30 || n != 0 {
		t.Errorf("%d series of four tokens, %d of five", few, n)
	}
	if text := scrape(t, m, h); !strings.Contains(text, "tokend_metrics_per_token 0\n") || !strings.Contains(text, `tokend_tokens{provider="rator",state="fresh"} 1`) {
		t.Error("the sums are not there, or it does not say what is left out")
	}
	h.facts.Tokens = 4
	if n := perToken(); n == 0 || !strings.Contains(scrape(t, m, h), "tokend_metrics_per_token 1\n") {
		t.Errorf("%d series when they are few again", n)
	}
}
