package devview

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Changes says in a line each what is new in a frame since the last one, which
// may be nil: access tokens, states, requests that were refused, and events.
func Changes(last *Frame, f Frame) []string {
	var lines []string
	say := func(at time.Time, format string, args ...any) {
		lines = append(lines, at.Format(time.TimeOnly)+" "+fmt.Sprintf(format, args...))
	}
	before := map[string]token.Status{}
	seen := time.Time{}
	if last == nil {
		say(f.Now, "authorization server at %s, files in %s", f.Address, f.Dir)
	} else {
		for _, t := range last.Tokens {
			before[t.Name] = t
		}
		if n := len(last.Requests); n > 0 {
			seen = last.Requests[n-1].At
		}
	}
	for _, r := range f.Requests {
		if r.Bad && r.At.After(seen) {
			say(r.At, "server: %s %s %s: %s", r.API, r.What, r.Who, r.Outcome)
		}
	}
	for _, t := range f.Tokens {
		old := before[t.Name]
		if t.Generation != old.Generation {
			say(f.Now, "%s: generation %d, %s left, %s", t.Name, t.Generation, leftOf(f, t), fileOf(f, t))
		}
		if t.State != old.State && t.State != token.StateFresh {
			say(f.Now, "%s: %s%s", t.Name, t.State, reason(t))
		}
	}
	return append(lines, newEvents(last, f)...)
}

// newEvents are those that the last frame did not have.
func newEvents(last *Frame, f Frame) []string {
	if last == nil {
		return f.Events
	}
	var events []string
	for _, e := range f.Events {
		if !slices.Contains(last.Events, e) {
			events = append(events, e)
		}
	}
	return events
}

func reason(t token.Status) string {
	if t.LastError == nil {
		return ""
	}
	return ": " + t.LastError.Message
}
