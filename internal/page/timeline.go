package page

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
)

const (
	maxMoments  = 20  // of a token
	maxTokens   = 200 // that moments are kept of
	maxSentence = 300 // bytes of what is said of one
)

// Moment is one thing that happened to a token, or the same thing several times.
type Moment struct {
	At         time.Time `json:"at"` // the last time
	Kind       string    `json:"kind"`
	Level      string    `json:"level"` // "info", "warning" or "error"
	Text       string    `json:"text"`  // what happened, in words
	Detail     string    `json:"detail,omitempty"`
	Code       string    `json:"code,omitempty"` // that tokend explain knows
	Generation uint64    `json:"generation,omitempty"`
	Count      int       `json:"count"` // how often in a row
}

// Timeline remembers what happened lately, for a bounded number of tokens: first
// those that anything unusual happened to, and others as long as there is room. A
// fleet that does well costs nothing beyond a look into a map per event. It
// implements refresher.Observer.
type Timeline struct {
	mu      sync.Mutex
	rings   map[string]*list.Element // of *ring
	plain   *list.List               // nothing unusual in it; the one that was quiet longest comes first
	unusual *list.List
}

// ring is the memory of one token.
type ring struct {
	name    string
	unusual bool
	moments []Moment // the oldest first
}

// NewTimeline returns one that remembers nothing yet.
func NewTimeline() *Timeline {
	return &Timeline{rings: map[string]*list.Element{}, plain: list.New(), unusual: list.New()}
}

// Observe implements refresher.Observer.
func (t *Timeline) Observe(e refresher.Event) {
	if e.Token == "" || e.Kind == refresher.SinkUnchanged {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.rings[e.Token]
	if e.Kind == refresher.Retired {
		t.forget(at)
		return
	}
	says := sayingOf(e.Kind)
	if !ok && !says.unusual() && len(t.rings) >= maxTokens {
		return
	}
	if !ok {
		t.makeRoom()
		at = t.plain.PushBack(&ring{name: e.Token})
		t.rings[e.Token] = at
	}
	r := at.Value.(*ring)
	r.add(momentOf(e, says))
	t.touch(at, r, says.unusual())
}

// Of returns what happened to a token, the newest first.
func (t *Timeline) Of(name string) []Moment {
	if t == nil {
		return []Moment{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	at, ok := t.rings[name]
	if !ok {
		return []Moment{}
	}
	moments := slices.Clone(at.Value.(*ring).moments)
	slices.Reverse(moments)
	return moments
}

func (r *ring) add(m Moment) {
	if n := len(r.moments); n > 0 {
		last := &r.moments[n-1]
		if last.Kind == m.Kind && last.Detail == m.Detail && m.Level != "info" {
			m.Count = last.Count + 1
			*last = m
			return
		}
	}
	if len(r.moments) == maxMoments {
		r.moments = slices.Delete(r.moments, 0, 1)
	}
	r.moments = append(r.moments, m)
}

// touch makes a ring the last one to be given up.
func (t *Timeline) touch(at *list.Element, r *ring, unusual bool) {
	switch {
	case r.unusual:
		t.unusual.MoveToBack(at)
	case unusual:
		r.unusual = true
		t.plain.Remove(at)
		t.rings[r.name] = t.unusual.PushBack(r)
	default:
		t.plain.MoveToBack(at)
	}
}

func (t *Timeline) makeRoom() {
	if len(t.rings) < maxTokens {
		return
	}
	if first := t.plain.Front(); first != nil {
		t.forget(first)
		return
	}
	t.forget(t.unusual.Front())
}

func (t *Timeline) forget(at *list.Element) {
	if at == nil {
		return
	}
	r := at.Value.(*ring)
	if r.unusual {
		t.unusual.Remove(at)
	} else {
		t.plain.Remove(at)
	}
	delete(t.rings, r.name)
}
