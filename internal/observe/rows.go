package observe

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// row is a token at one scrape.
type row struct {
	*token.Status
	labels   string
	requests [requestKinds][results]uint64
	sinks    []sinkRow
}

type sinkRow struct {
	*token.SinkStatus
	labels  string
	writes  [writeResults]uint64
	expires time.Time
}

// rows joins what is the case with what was counted, for the tokens that this
// replica keeps.
func (m *Metrics) rows(all []token.Status, scrape uint64) []row {
	rows := make([]row, 0, len(all))
	var buf pairs
	for i := range all {
		s := &all[i]
		if s.State == token.StateStandby {
			continue
		}
		t := m.tally(s.Name)
		r := row{Status: s}
		t.mu.Lock()
		t.seen = max(t.seen, scrape)
		r.requests = t.requests
		buf = buf[:0].add("token", s.Name).add("provider", s.Provider)
		r.labels = string(buf)
		buf = r.join(t, buf)
		t.mu.Unlock()
		rows = append(rows, r)
	}
	return rows
}

// join adds the token's sinks, with the tally's lock held, and drops what was
// counted of others.
func (r *row) join(t *tally, buf pairs) pairs {
	r.sinks = make([]sinkRow, len(r.Sinks))
	kept := make([]sinkTally, len(r.Sinks))
	n := len(buf)
	for i := range r.Sinks {
		s := &r.Sinks[i]
		c := t.sink(s.Kind, s.Target)
		kept[i] = *c
		buf = buf[:n].add("sink", s.Kind).add("target", s.Target)
		r.sinks[i] = sinkRow{SinkStatus: s, labels: string(buf), writes: c.writes, expires: c.expires}
		if s.Generation == r.Generation {
			r.sinks[i].expires = r.ExpiresAt
		}
	}
	t.sinks = kept
	return buf
}

// late tells that a token is valid, but that half of the time between its
// planned replacement and its expiry has passed.
func late(s *token.Status, now time.Time) bool {
	if s.Due.IsZero() || !now.Before(s.ExpiresAt) {
		return false
	}
	return now.After(s.Due.Add(s.ExpiresAt.Sub(s.Due) / 2))
}

// provider is the sum of a provider's tokens at one scrape.
type provider struct {
	name     string
	states   map[token.State]int
	inFlight int
	due      int
	late     int
	earliest time.Time // expiry of a token that is valid
	sinks    int
	behind   int
	failing  int
}

// add counts a token in.
func (p *provider) add(s *token.Status, now time.Time) {
	p.states[s.State]++
	if s.State == token.StateStandby {
		return // the replica that keeps it tells the rest
	}
	if s.InFlight {
		p.inFlight++
	} else if !s.NextAttempt.IsZero() && !s.NextAttempt.After(now) {
		p.due++
	}
	if late(s, now) {
		p.late++
	}
	if now.Before(s.ExpiresAt) && (p.earliest.IsZero() || s.ExpiresAt.Before(p.earliest)) {
		p.earliest = s.ExpiresAt
	}
	for i := range s.Sinks {
		p.sinks++
		if s.Sinks[i].Generation != s.Generation {
			p.behind++
		}
		if s.Sinks[i].LastError != nil {
			p.failing++
		}
	}
}
