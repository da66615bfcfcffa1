package observe

import (
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
)

// requestKind is what a token request does.
type requestKind int

const (
	byLogin requestKind = iota
	byRefresh
	requestKinds
)

func (k requestKind) String() string { return [...]string{"login", "refresh"}[k] }

// kindOf tells what the request did that an event is about.
func kindOf(e refresher.Event) requestKind {
	switch {
	case e.Kind == refresher.Refreshed, e.Kind == refresher.RefreshDenied, e.Kind == refresher.AttemptFailed && e.Detail == byRefresh.String():
		return byRefresh
	}
	return byLogin
}

// writeResult is what became of a write.
type writeResult int

const (
	written writeResult = iota
	unchanged
	repaired
	failed
	writeResults
)

func (w writeResult) String() string {
	return [...]string{resultWritten, resultUnchanged, resultRepaired, resultFailed}[w]
}

func writeOf(k refresher.Kind) writeResult {
	switch k {
	case refresher.SinkUnchanged:
		return unchanged
	case refresher.SinkRepaired, refresher.SinkFight:
		return repaired
	case refresher.SinkFailed:
		return failed
	}
	return written
}

// tally is what was counted of one token.
type tally struct {
	mu       sync.Mutex
	requests [requestKinds][results]uint64
	sinks    []sinkTally
	seen     uint64 // the scrape that last met the token
}

type sinkTally struct {
	kind, target string
	writes       [writeResults]uint64
	expires      time.Time // of the generation that the sink holds
}

func (m *Metrics) tally(name string) *tally {
	if t, ok := m.tallies.Load(name); ok {
		return t.(*tally)
	}
	t, _ := m.tallies.LoadOrStore(name, &tally{seen: m.scrapes.Load()})
	return t.(*tally)
}

func (t *tally) requested(k requestKind, result int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests[k][result]++
}

func (t *tally) wrote(w writeResult, e refresher.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.sink(e.SinkKind, e.Target)
	s.writes[w]++
	if w != failed {
		s.expires = e.ExpiresAt
	}
}

// sink is the tally of a sink, with the lock held. A token has few.
func (t *tally) sink(kind, target string) *sinkTally {
	for i := range t.sinks {
		if s := &t.sinks[i]; s.target == target && s.kind == kind {
			return s
		}
	}
	t.sinks = append(t.sinks, sinkTally{kind: kind, target: target})
	return &t.sinks[len(t.sinks)-1]
}

// forget drops the tallies of tokens that were not met for two scrapes.
func (m *Metrics) forget(scrape uint64) {
	m.tallies.Range(func(name, v any) bool {
		t := v.(*tally)
		t.mu.Lock()
		old := t.seen+1 < scrape
		t.mu.Unlock()
		if old {
			m.tallies.Delete(name)
		}
		return true
	})
}
