package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/devview"
	"github.com/tokend-project/tokend/internal/token"
)

// statusLines is a status as a person reads it at now.
func statusLines(s control.Status, now time.Time, style style) []string {
	lines := daemonLines(s, now, style)
	lines = append(lines, "")
	if len(s.Tokens) == 0 {
		return append(lines, "no token is configured")
	}
	return append(append(lines, tokenTable(s.Tokens, now, style)...), "", summary(s.Tokens))
}

// tokenTable gives up the bars of the lifetimes before it gets wider than the
// terminal.
func tokenTable(tokens []token.Status, now time.Time, style style) []string {
	t := &table{style: style, head: []string{"TOKEN", "STATE", "LIFETIME", "NEXT", "GEN", "SINKS"}}
	for _, cells := range []int{10, 5, 0} {
		t.rows = t.rows[:0]
		for _, status := range tokens {
			t.rows = append(t.rows, tokenRow(status, now, style, cells))
		}
		if style.width == 0 || t.width() <= style.width {
			break
		}
	}
	return t.lines()
}

// daemonLines tell about the daemon itself.
func daemonLines(s control.Status, now time.Time, style style) []string {
	dot := style.pick(" · ", ", ")
	lines := []string{
		style.paint(bold, "tokend "+s.Version) + dot + fmt.Sprintf("pid %d", s.PID) + dot + "up " + span(now.Sub(s.StartedAt)),
		"config " + strings.Join(s.Config.Paths, " ") + dot + "loaded " + relative(s.Config.LoadedAt, now) + warnings(s.Config.Warnings, dot),
		"state " + s.State.Location + sealed(s.State.Sealed, dot),
	}
	lines = append(lines, replicaLines(s.HA, dot, style)...)
	if d := s.Delivery; d.Count > 0 {
		lines = append(lines, fmt.Sprintf("delivery p50 %s%sp99 %s%s%s",
			millis(d.P50), dot, millis(d.P99), dot, count(int(d.Count), "write")))
	}
	if p := s.Config.Error; p != nil {
		lines = append(lines, style.paint(red, "the newest config is broken, the last good one runs ("+relative(p.At, now)+"):"))
		for line := range strings.Lines(p.Message) {
			lines = append(lines, noteIndent+oneLine(line))
		}
	}
	return lines
}

// replicaLines tell how this replica stands among the others.
func replicaLines(ha *control.HAStatus, dot string, style style) []string {
	if ha == nil {
		return nil
	}
	stands := fmt.Sprintf("keeps %d of %s", len(ha.Held), count(ha.Shards, "shard"))
	if ha.Standby {
		stands = style.paint(yellow, "stands by")
	}
	lines := []string{"replica " + ha.Identity + dot + stands + dot + count(len(ha.Members), "replica") + " alive"}
	if ha.Problem != "" {
		lines = append(lines, noteIndent+style.paint(red, oneLine(ha.Problem)))
	}
	return lines
}

func warnings(n int, dot string) string {
	if n == 0 {
		return ""
	}
	return dot + count(n, "warning")
}

func sealed(yes bool, dot string) string {
	if yes {
		return dot + "sealed"
	}
	return dot + "not sealed"
}

func millis(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

func tokenRow(t token.Status, now time.Time, style style, bar int) row {
	color := stateColor(t, now)
	return row{
		cells: []cell{
			{t.Name, bold},
			{style.pick("● ", "") + string(t.State), color},
			{lifetime(t, now, style, bar), color},
			{next(t, now), plain},
			{fmt.Sprint(t.Generation), plain},
			delivered(t),
		},
		notes: problems(t, now),
	}
}

func stateColor(t token.Status, now time.Time) string {
	switch {
	case t.State == token.StatePending:
		return cyan
	case t.State == token.StateStandby:
		return dim
	case !valid(t, now):
		return red
	case t.State == token.StateFresh:
		return green
	default:
		return yellow
	}
}

// lifetime is a bar of what is left, and the same in words.
func lifetime(t token.Status, now time.Time, style style, cells int) string {
	if t.Generation == 0 {
		return style.pick("—", "-")
	}
	left := t.ExpiresAt.Sub(now)
	words := span(left) + " left"
	if left <= 0 {
		words = "expired " + relative(t.ExpiresAt, now)
	}
	if cells == 0 {
		return words
	}
	return devview.Bar(devview.Left(now, t.IssuedAt, t.ExpiresAt), cells, devview.Style{Unicode: style.unicode}) + " " + words
}

// next says what will be asked of the server, and when.
func next(t token.Status, now time.Time) string {
	kind := t.NextKind
	if kind == "" {
		kind = "request"
	}
	switch {
	case t.State == token.StateStandby:
		return "another replica's"
	case t.InFlight:
		return kind + " under way"
	case t.State == token.StateHuman && t.NextAttempt.IsZero():
		return "waits for a person"
	case t.NextAttempt.IsZero():
		return "nothing planned"
	case !t.NextAttempt.After(now):
		return kind + " due"
	}
	return kind + " " + relative(t.NextAttempt, now)
}

// delivered counts the sinks that hold the current generation.
func delivered(t token.Status) cell {
	good := 0
	for _, s := range t.Sinks {
		if s.LastError == nil && s.Generation == t.Generation && t.Generation > 0 {
			good++
		}
	}
	switch {
	case len(t.Sinks) == 0:
		return cell{"none", dim}
	case good == len(t.Sinks):
		return cell{fmt.Sprintf("%d ok", good), green}
	case t.Generation == 0:
		return cell{fmt.Sprintf("0 of %d", len(t.Sinks)), plain}
	}
	return cell{fmt.Sprintf("%d of %d ok", good, len(t.Sinks)), red}
}

// problems are the failures that still matter, in words.
func problems(t token.Status, now time.Time) []cell {
	var notes []cell
	note := func(what string, p *token.Problem) {
		if p != nil {
			notes = append(notes, cell{fmt.Sprintf("%s %s: %s%s", what, relative(p.At, now), oneLine(p.Message), codeOf(p)), red})
		}
	}
	if t.Failures > 0 || t.State != token.StateFresh {
		note(attempts(t.Failures), t.LastError)
	}
	for _, s := range t.Sinks {
		note(s.Kind+" "+oneLine(s.Target)+" failed", s.LastError)
	}
	if t.Hook != nil {
		note("on_update failed", t.Hook.LastError)
	}
	if t.Probe != nil && !t.Probe.OK {
		note("probe failed", t.Probe.LastError)
	}
	return notes
}

// codeOf is what tokend explain is to be asked.
func codeOf(p *token.Problem) string {
	if p.Code == "" {
		return ""
	}
	return " [" + p.Code + "]"
}

func attempts(failures int) string {
	if failures > 1 {
		return count(failures, "attempt") + " failed, the last"
	}
	return "the last attempt failed"
}

// summary counts the tokens by state.
func summary(tokens []token.Status) string {
	counts := make(map[token.State]int)
	for _, t := range tokens {
		counts[t.State]++
	}
	var parts []string
	for _, state := range []token.State{token.StateFresh, token.StateRetrying, token.StatePending, token.StateExpired, token.StateHuman, token.StateStandby} {
		if n := counts[state]; n > 0 {
			parts = append(parts, thousands(uint64(n))+" "+string(state))
		}
	}
	return count(len(tokens), "token") + ": " + strings.Join(parts, ", ")
}
