package observe

import (
	"cmp"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// MetricsOptions say what is shown.
type MetricsOptions struct {
	Version string
	// PerTokenUpTo is how many tokens there may be for each to have series of its
	// own, and of its sinks. When there are more, providers alone have.
	PerTokenUpTo int
}

// Metrics counts what happens, and shows it to Prometheus. It is safe for
// concurrent use.
type Metrics struct {
	o        MetricsOptions
	registry *prometheus.Registry

	events        map[refresher.Kind]prometheus.Counter
	stateFailures prometheus.Counter
	requests      *prometheus.CounterVec
	durations     *prometheus.HistogramVec
	throttled     *prometheus.CounterVec
	retryAfter    *prometheus.GaugeVec
	writes        *prometheus.CounterVec
	latency       *prometheus.HistogramVec
	deliveries    *prometheus.HistogramVec
	hooks         *prometheus.CounterVec
	probes        *prometheus.CounterVec

	detailed atomic.Bool // tokens have series of their own
	tallies  sync.Map    // of *tally, by token
	scraping chan struct{}
	scrapes  atomic.Uint64

	mu        sync.RWMutex
	providers map[string]*providerSeries
	sinks     map[place]*sinkSeries
}

// scrapesAtOnce bounds what a fleet's scrapes can take of a daemon.
const scrapesAtOnce = 4

// What became of a token request, a write, a hook and a probe.
const (
	resultSuccess   = "success"
	resultFailed    = "failed"
	resultRefused   = "refused"
	resultWritten   = "written"
	resultUnchanged = "unchanged"
	resultRepaired  = "repaired"
)

// Request durations range from a server next door to its timeout, sinks from a
// local disk to an API server that is busy.
func requestBuckets() []float64 {
	return []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
}

func writeBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30}
}

// NewMetrics returns Metrics with a registry of their own.
func NewMetrics(o MetricsOptions) *Metrics {
	m := &Metrics{o: o, registry: prometheus.NewRegistry(), events: map[refresher.Kind]prometheus.Counter{},
		scraping: make(chan struct{}, scrapesAtOnce), providers: map[string]*providerSeries{}, sinks: map[place]*sinkSeries{}}
	m.detailed.Store(o.PerTokenUpTo > 0)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.build()
	events := m.counter("tokend_events_total", "Things that happened, by the name they have in the log.", "event")
	for kind := range words() {
		m.events[kind] = events.WithLabelValues(string(kind))
	}
	m.stateFailures = m.counter("tokend_state_failures_total", "Records that the state store did not take or give.").WithLabelValues()
	m.requests = m.counter("tokend_provider_requests_total", "Token requests, by what became of them: success, or the class of the failure.", "provider", "kind", "result")
	m.durations = m.histogram("tokend_provider_request_duration_seconds", "Time from the beginning of an attempt to the reading of its answer.", requestBuckets(), "provider", "kind")
	m.throttled = m.counter("tokend_provider_throttled_total", "Pauses that the provider asked for.", "provider")
	m.retryAfter = m.gauge("tokend_provider_retry_after_timestamp_seconds", "Until when the provider last asked to wait; 0 when it never did.", "provider")
	m.writes = m.counter("tokend_sink_writes_total", "Writes of sinks, by what became of them.", "provider", "sink", "result")
	m.latency = m.histogram("tokend_sink_write_duration_seconds", "Time that one write of a sink took, failed ones included.", writeBuckets(), "sink")
	m.deliveries = m.histogram("tokend_delivery_duration_seconds", "Time from the reading of a server's answer to a sink holding it, failed writes before included. On many servers the old token is dead meanwhile.", writeBuckets(), "sink")
	m.hooks = m.counter("tokend_hook_runs_total", "Runs of on_update commands.", "provider", "result")
	m.probes = m.counter("tokend_probe_failures_total", "Probes that did not find the token good: the resource refused it (401), or could not be asked.", "provider", "result")
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

func (m *Metrics) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(g)
	return g
}

func (m *Metrics) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) build() {
	revision, goVersion := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	m.gauge("tokend_build_info", "The build that runs; always 1.", "version", "revision", "goversion").WithLabelValues(m.o.Version, revision, goVersion).Set(1)
}

// Observe implements refresher.Observer.
func (m *Metrics) Observe(e refresher.Event) {
	if c := m.events[e.Kind]; c != nil {
		c.Inc()
	}
	switch e.Kind {
	case refresher.Refreshed, refresher.LoggedIn, refresher.AttemptFailed, refresher.RefreshDenied:
		m.requested(e)
	case refresher.SinkWritten, refresher.SinkUnchanged, refresher.SinkRepaired, refresher.SinkFight, refresher.SinkFailed:
		m.wrote(e)
	case refresher.StateFailed:
		m.stateFailures.Inc()
	case refresher.Throttled:
		m.throttled.WithLabelValues(e.Provider).Inc()
		m.retryAfter.WithLabelValues(e.Provider).Set(seconds(e.At.Add(e.Took)))
	case refresher.HookRan:
		m.hooks.WithLabelValues(e.Provider, resultSuccess).Inc()
	case refresher.HookFailed:
		m.hooks.WithLabelValues(e.Provider, resultFailed).Inc()
	case refresher.ProbeRefused:
		m.probes.WithLabelValues(e.Provider, resultRefused).Inc()
	case refresher.ProbeFailed:
		m.probes.WithLabelValues(e.Provider, resultFailed).Inc()
	case refresher.Retired, refresher.Released:
		m.tallies.Delete(e.Token)
	}
}

func (m *Metrics) requested(e refresher.Event) {
	k, r := kindOf(e), 0
	if e.Kind == refresher.AttemptFailed || e.Kind == refresher.RefreshDenied {
		r = int(cmp.Or(e.Class, token.Ambiguous)) // the class that promises least
	}
	s := m.provider(e.Provider)
	s.requests[k][r].Inc()
	if e.Took > 0 {
		s.durations[k].Observe(e.Took.Seconds())
	}
	if m.detailed.Load() {
		m.tally(e.Token).requested(k, r)
	}
}

func (m *Metrics) wrote(e refresher.Event) {
	w := writeOf(e.Kind)
	s := m.sink(place{e.Provider, e.SinkKind})
	s.writes[w].Inc()
	if e.Took > 0 {
		s.latency.Observe(e.Took.Seconds())
	}
	if e.Kind == refresher.SinkWritten && e.SinceAnswer > 0 {
		s.deliveries.Observe(e.SinceAnswer.Seconds())
	}
	if m.detailed.Load() {
		m.tally(e.Token).wrote(w, e)
	}
}

// results is how many results a token request can have.
const results = int(token.Misconfigured) + 1

// resultName is "success" for 0 and a class's name for others.
func resultName(r int) string {
	if r == 0 {
		return resultSuccess
	}
	return token.Class(r).String()
}
