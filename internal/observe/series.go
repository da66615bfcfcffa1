package observe

import (
	"github.com/prometheus/client_golang/prometheus"
)

// providerSeries are a provider's series of requests, looked up once.
type providerSeries struct {
	requests  [requestKinds][results]prometheus.Counter
	durations [requestKinds]prometheus.Observer
}

// place is where writes are counted.
type place struct{ provider, sink string }

// sinkSeries are the series of one kind of sinks of a provider's tokens.
type sinkSeries struct {
	writes              [writeResults]prometheus.Counter
	latency, deliveries prometheus.Observer
}

// provider returns a provider's series, and makes all of them with the first.
func (m *Metrics) provider(name string) *providerSeries {
	return lookUp(m, m.providers, name, m.greet)
}

// sink returns the series of a kind of sinks, likewise.
func (m *Metrics) sink(at place) *sinkSeries { return lookUp(m, m.sinks, at, m.greetSink) }

// lookUp returns what is known under a key, and makes it where nothing is.
func lookUp[K comparable, V any](m *Metrics, known map[K]*V, key K, greet func(K) *V) *V {
	m.mu.RLock()
	v := known[key]
	m.mu.RUnlock()
	if v != nil {
		return v
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if v := known[key]; v != nil {
		return v
	}
	v = greet(key)
	known[key] = v
	return v
}

// greet makes a provider's series before anything is counted, so that a first
// failure is seen as an increase.
func (m *Metrics) greet(provider string) *providerSeries {
	s := &providerSeries{}
	for k := range requestKinds {
		for r := range results {
			s.requests[k][r] = m.requests.WithLabelValues(provider, k.String(), resultName(r))
		}
		s.durations[k] = m.durations.WithLabelValues(provider, k.String())
	}
	m.throttled.WithLabelValues(provider)
	m.retryAfter.WithLabelValues(provider)
	for _, result := range []string{resultSuccess, resultFailed} {
		m.hooks.WithLabelValues(provider, result)
	}
	for _, result := range []string{resultRefused, resultFailed} {
		m.probes.WithLabelValues(provider, result)
	}
	return s
}

func (m *Metrics) greetSink(at place) *sinkSeries {
	s := &sinkSeries{latency: m.latency.WithLabelValues(at.sink), deliveries: m.deliveries.WithLabelValues(at.sink)}
	for w := range writeResults {
		s.writes[w] = m.writes.WithLabelValues(at.provider, at.sink, w.String())
	}
	return s
}

// prepare makes the series of every provider, and takes them from those that are
// gone.
func (m *Metrics) prepare(present map[string]bool) {
	for p := range present {
		m.provider(p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := range m.providers {
		if !present[p] {
			m.dismiss(p)
		}
	}
}

func (m *Metrics) dismiss(provider string) {
	delete(m.providers, provider)
	for at := range m.sinks {
		if at.provider == provider {
			delete(m.sinks, at)
		}
	}
	gone := prometheus.Labels{"provider": provider}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{m.requests, m.durations, m.throttled, m.retryAfter, m.writes, m.hooks, m.probes} {
		v.DeletePartialMatch(gone)
	}
}
