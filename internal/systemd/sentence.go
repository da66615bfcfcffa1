package systemd

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	fewNames    = 3   // that a sentence takes
	longestLine = 400 // bytes; `systemctl status` shows one line
)

// sentence says in one line how the tokens are, such as
// "42 tokens fresh, 1 retrying: rator-operator".
func sentence(tokens []token.Status, problem *token.Problem, ready bool) string {
	var by tally
	for i := range tokens {
		by.add(&tokens[i])
	}
	s := by.String()
	if !ready {
		s = "starting: " + s
	}
	if problem != nil {
		first, _, _ := strings.Cut(problem.Message, "\n")
		s += "; a new configuration was refused, the last good one runs on: " + first
	}
	return oneLine(s)
}

// tally sorts tokens by what is to be said of them.
type tally struct {
	fresh, elsewhere int
	names            [len(worries)][]string
	behind           []string // sinks that failed and do not hold the current generation
}

// worries are the states that are told with names, in the order they are told.
var worries = [...]token.State{token.StateRetrying, token.StateExpired, token.StateHuman, token.StatePending}

// words are what they are called.
var words = [...]string{"retrying", "expired", "waiting for a person", "not obtained yet"}

func (y *tally) add(t *token.Status) {
	switch t.State {
	case token.StateFresh:
		y.fresh++
	case token.StateStandby:
		y.elsewhere++
	default:
		for i, s := range worries {
			if s == t.State {
				y.names[i] = append(y.names[i], t.Name)
			}
		}
	}
	for i := range t.Sinks {
		if s := &t.Sinks[i]; s.LastError != nil && s.Generation != t.Generation {
			y.behind = append(y.behind, s.Kind+" "+s.Target)
		}
	}
}

func (y *tally) String() string {
	worried := len(y.behind) > 0
	for _, n := range y.names {
		worried = worried || len(n) > 0
	}
	var parts []string
	switch {
	case y.fresh > 0:
		parts = append(parts, count(y.fresh, "token")+" fresh")
	case y.elsewhere > 0 && !worried:
		return "standing by: other replicas keep " + count(y.elsewhere, "token")
	case !worried:
		return "no tokens are configured"
	}
	for i, names := range y.names {
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%d %s: %s", len(names), words[i], few(names)))
		}
	}
	if len(y.behind) > 0 {
		parts = append(parts, fmt.Sprintf("%s not written: %s", count(len(y.behind), "sink"), few(y.behind)))
	}
	if y.elsewhere > 0 {
		parts = append(parts, fmt.Sprintf("%d kept by other replicas", y.elsewhere))
	}
	return strings.Join(parts, ", ")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func few(names []string) string {
	if more := len(names) - fewNames; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:fewNames], " "), more)
	}
	return strings.Join(names, " ")
}

// oneLine keeps what comes from outside, such as a path, from being taken for an
// assignment of its own.
func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
	if len(s) > longestLine {
		s = strings.ToValidUTF8(s[:longestLine-3], "") + "..."
	}
	return s
}
