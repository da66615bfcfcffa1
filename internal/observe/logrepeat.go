package observe

import (
	"strings"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
)

// A failure that goes on is one thing that happened. Its first line tells of it,
// lines at growing intervals tell that it goes on, and how often it was met since
// the last one, and a line at the end tells that it is over.

// manyTroubles bounds the troubles that are told apart of one thing. A server
// that fails in ever new words is told of at the same intervals.
const manyTroubles = 8

// summaries are how long after the first line, and then after each other, a
// trouble is told of again; the last one goes on.
var summaries = [...]time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, time.Hour}

// subject is what can be in trouble: a token's requests, its record, its hook, its
// probe, or one of its sinks.
type subject struct{ token, what, kind, target string }

// repeats remembers the troubles that last.
type repeats struct {
	mu   sync.Mutex
	open map[subject]*troubles
}

// troubles are what one subject fails by. count includes what was not logged.
type troubles struct {
	since time.Time
	last  time.Time
	count int
	of    []trouble
}

type trouble struct {
	class  string
	words  string // without digits: ports and times differ at each failure
	told   int    // how many summaries
	next   time.Time
	unsaid int
}

// ordeal says for how long and how often something had failed.
type ordeal struct {
	count  int
	lasted time.Duration
}

// longAgo is after how long without a failure the next one is a new trouble: of
// a state that is written again, for one, there is no event.
const longAgo = 2 * time.Hour

// failing are the kinds that go on, most of them until a kind of over says
// otherwise; the value names what they are about.
func failing() map[refresher.Kind]string {
	return map[refresher.Kind]string{
		refresher.AttemptFailed: "request", refresher.StateFailed: "state", refresher.SinkFailed: "sink", refresher.SinkFight: "fight",
		refresher.HookFailed: "hook", refresher.ProbeFailed: "probe", refresher.Throttled: "throttle",
	}
}

// over are the kinds that end what goes on, and what they end.
func over() map[refresher.Kind][]string {
	obtained := []string{"request", "throttle"}
	return map[refresher.Kind][]string{
		refresher.Refreshed: obtained, refresher.LoggedIn: obtained, refresher.SinkWritten: {"sink", "fight"}, refresher.SinkUnchanged: {"sink", "fight"},
		refresher.SinkRepaired: {"sink"}, refresher.HookRan: {"hook"}, refresher.ProbeRefused: {"probe"},
	}
}

// admit tells whether a failure is to be logged, and how many like it were not
// since the last one that was.
func (r *repeats) admit(of subject, e refresher.Event) (log bool, unsaid int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.open[of]
	if all == nil || e.At.Sub(all.last) > longAgo {
		all = &troubles{since: e.At}
		r.open[of] = all
	}
	all.count, all.last = all.count+1, e.At
	t, known := all.find(e)
	if known && e.At.Before(t.next) {
		t.unsaid++
		return false, 0
	}
	if known {
		t.told++
	}
	unsaid, t.unsaid = t.unsaid, 0
	t.next = e.At.Add(summaries[min(t.told, len(summaries)-1)])
	return true, unsaid
}

// find returns the trouble that e is one more of.
func (y *troubles) find(e refresher.Event) (t *trouble, known bool) {
	class, words := e.Class.String(), e.Detail
	if e.Err != nil {
		words = e.Err.Error()
	}
	words = strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' {
			return -1
		}
		return c
	}, words)
	for i := range y.of {
		if y.of[i].class == class && y.of[i].words == words {
			return &y.of[i], true
		}
	}
	if len(y.of) == manyTroubles {
		return &y.of[manyTroubles-1], true
	}
	y.of = append(y.of, trouble{class: class, words: words})
	return &y.of[len(y.of)-1], false
}

// end forgets what is over and returns what it was, if it failed more than once:
// a single failure and what follows it tell of themselves.
func (r *repeats) end(of subject, at time.Time) (o ordeal, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.open[of]
	if all == nil {
		return ordeal{}, false
	}
	delete(r.open, of)
	return ordeal{all.count, max(0, at.Sub(all.since))}, all.count > 1
}

// forget drops what a token that leaves was in trouble by.
func (r *repeats) forget(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for of := range r.open {
		if of.token == token {
			delete(r.open, of)
		}
	}
}

func subjectOf(e refresher.Event, what string) subject {
	if what != "sink" && what != "fight" {
		return subject{token: e.Token, what: what}
	}
	return subject{token: e.Token, what: what, kind: e.SinkKind, target: e.Target}
}

// dated gives an event that has none the time at which it is heard of.
func dated(e refresher.Event) refresher.Event {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	return e
}
