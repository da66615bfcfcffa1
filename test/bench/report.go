package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
	"github.com/tokend-project/tokend/test/bench/internal/process"
)

// line is one row of the report: what it shows, and when tokend has met it.
type line struct {
	key, figure, floor, target string
	met                        func(loop, tokend cell) bool // nil: the row only informs
	needsLoop                  bool
}

// lines is the table, top to bottom.
func (b *bench) lines() []line {
	lines := []line{
		{"cold", "cold start until every file is valid, fsync on", "1.5–2.9 s", "≤ 0.6× the loop", within(0.6), true},
		{"cold on tmpfs", "the same on tmpfs", "", "≤ 0.7× the loop", within(0.7), true},
		{"latency", "the same, server answers after 50 ms", "", "", nil, false},
		{"cpu", "CPU per refresh, fsync on", "140 µs", "≤ 0.6× the loop", within(0.6), true},
		{"cpu on tmpfs", "the same on tmpfs", "65 µs", "≤ 0.6× the loop", within(0.6), true},
		{"observed", "CPU per refresh with metrics scraped every 15 s, page and log, on tmpfs", "", "≤ 1.05× without", upTo(1.05), false},
		{"observed, per token", "the same, with metrics of every token (`per_token = true`)", "", "–", nil, false},
		{"observed, read", "the same, with somebody reading the page", "", "–", nil, false},
		{"memory", "resident memory per token", "1–2 KiB", "≤ 4 KiB", upTo(4), false},
		{"lateness", "lateness against plan, p99", "request + 10 ms", "≤ 0.1 s", upTo(0.1), false},
	}
	for _, mode := range b.modes {
		figure := fmt.Sprintf("invalid token-seconds, %v outage: %s", b.outage(), mode)
		lines = append(lines, line{"outage: " + mode, figure, "0", "0", upTo(0), false})
	}
	limited := fmt.Sprintf("attempts per token, server allows %d/s", b.limitedRate())
	return append(lines,
		line{"peak", "busiest second ÷ (tokens ÷ window) after the start", "1×", "≤ 1.5×", upTo(1.5), false},
		line{"limit", limited, "1.0", "≤ 1.1", upTo(1.1), false},
		line{"limit, told", "the same, limit in the config", "", "", nil, false},
		line{"delivery", "answer → file in place, fsync on", "1 ms", "median < 5 ms", below(0.005), false},
		line{"restart", fmt.Sprintf("start-up with %d live tokens", b.tokens), "", "< 2 s, no request", below(2), false},
		line{"reload", fmt.Sprintf("reload of %d tokens, one changed", b.tokens), "", "< 1 s, one request", below(1), false},
	)
}

func within(share float64) func(loop, tokend cell) bool {
	return func(loop, tokend cell) bool { return tokend.value <= share*loop.value }
}

func upTo(limit float64) func(loop, tokend cell) bool {
	return func(_, tokend cell) bool { return tokend.value <= limit }
}

func below(limit float64) func(loop, tokend cell) bool {
	return func(_, tokend cell) bool { return tokend.value < limit }
}

// row fills a line with what was measured. It reports false when nothing was.
func (b *bench) row(l line) (figures.Row, bool) {
	loop, hasLoop := b.cells[l.key]["loop"]
	tokend, hasTokend := b.cells[l.key]["tokend"]
	r := figures.Row{Figure: l.figure, Floor: l.floor, Target: l.target, Loop: loop.text, Tokend: tokend.text}
	if l.needsLoop && hasLoop && hasTokend && loop.value > 0 {
		r.Tokend += fmt.Sprintf(" = %.2f×", tokend.value/loop.value)
	}
	if l.met != nil && hasTokend && (hasLoop || !l.needsLoop) {
		r.Verdict = figures.Verdict(!tokend.bad && l.met(loop, tokend))
	}
	return r, hasLoop || hasTokend
}

// report writes the table, and below it all that a reader needs to judge it.
func (b *bench) report(w io.Writer) {
	b.settleColds()
	var rows []figures.Row
	for _, l := range b.lines() {
		if r, ok := b.row(l); ok {
			rows = append(rows, r)
		}
	}
	var out strings.Builder
	out.WriteString(figures.Table(rows) + "\n")
	fmt.Fprintf(&out, "- machine: %s; %s is %s", process.Machine(), b.dir, process.FileSystem(b.dir))
	if b.tmpfs != "" {
		fmt.Fprintf(&out, "; %s is %s", b.tmpfs, process.FileSystem(b.tmpfs))
	}
	fmt.Fprintf(&out, "; load average before the run: %.1f", b.load)
	if b.load > 1 {
		out.WriteString(" (**others were busy: the times above are no verdict**)")
	}
	fmt.Fprintf(&out, "\n- both: %d tokens of %v, %d requests in flight, %v timeout; the server and the watchdog share the cores with what is measured\n",
		b.tokens, b.lifetime, b.inFlight, b.timeout)
	fmt.Fprintf(&out, "- plain loop: refreshes at 0.75 of the lifetime; backoff 100 ms to 5 s, doubling; temporary file, fsync, rename, directory fsync; no durable state\n")
	fmt.Fprintf(&out, "- tokend: grant %s, refresh_at = 0.75, lead = %q, min_interval = \"1s\", all else as by default; its state on the file system of its files\n",
		b.grant, lead(b.lifetime))
	for _, n := range b.notes {
		fmt.Fprintf(&out, "- %s\n", n)
	}
	for _, c := range b.charts {
		fmt.Fprintf(&out, "\n%s\n", c)
	}
	_, _ = io.WriteString(w, out.String())
}
