package devview

import (
	"strconv"
	"strings"
	"time"
)

// Render draws a frame as exactly height lines of at most width columns, joined
// by newlines. What does not fit is left out from the least important: events
// first, then requests, the server's rows, the spacing, and at last the tokens.
func Render(f Frame, width, height int, s Style) string {
	width, height = max(width, 20), max(height, 3)
	page := page{room: height}
	foot := s.footer(f, width)
	page.room -= len(foot)
	page.add([]string{s.header(f, width)})
	tokens := s.tokenTable(f, width)
	if page.room > len(tokens)+1 {
		page.room-- // the line above the footer
		page.blank()
	}
	page.add(tokens)
	if server := s.serverTable(f, width); page.room > len(server) {
		page.blank()
		page.add(server)
	}
	events := min(len(f.Events), max(0, page.room/3-2))
	requests := page.room - 2
	if events > 0 {
		requests -= events + 2
	}
	if requests = min(requests, len(f.Requests)); requests > 0 {
		page.blank()
		page.add(s.requestList(f, width, requests))
	}
	if events > 0 {
		page.blank()
		page.add(s.eventList(f, width, events))
	}
	for len(page.lines)+len(foot) < height {
		page.lines = append(page.lines, "")
	}
	return strings.Join(append(page.lines, foot...), "\n")
}

// page collects lines from the top while there is room.
type page struct {
	lines []string
	room  int
}

func (p *page) add(lines []string) {
	lines = lines[:min(len(lines), p.room)]
	p.lines = append(p.lines, lines...)
	p.room -= len(lines)
}

func (p *page) blank() { p.add([]string{""}) }

func (s Style) header(f Frame, width int) string {
	clock := f.Now.Format(time.TimeOnly)
	title := "tokend dev"
	dot := " " + s.pick("·", "-") + " "
	rest := ""
	if f.Address != "" {
		rest += dot + f.Address
	}
	if !f.Started.IsZero() {
		rest += dot + "up " + Short(f.Now.Sub(f.Started))
	}
	rest = s.fit(rest, max(0, width-len(title)-len(clock)-1))
	return s.paint(bold, title) + rest + " " + clock
}

func (s Style) heading(text string, width int) string {
	return s.paint(faint, s.cut(text, width))
}

func (s Style) serverTable(f Frame, width int) []string {
	type column struct {
		title string
		value func(Row) uint64
		bad   bool
	}
	cols := []column{
		{"LOGINS", func(r Row) uint64 { return r.Logins }, false},
		{"REFRESHES", func(r Row) uint64 { return r.Refreshes }, false},
		{"REFUSED", func(r Row) uint64 { return r.Refused }, true},
		{"REUSED", func(r Row) uint64 { return r.Reuses }, true},
		{"PROBES 200", func(r Row) uint64 { return r.Accepted }, false},
		{"401", func(r Row) uint64 { return r.Unauthorized }, false},
	}
	const first = 12
	title := s.fit("SERVER SAW", first)
	for _, c := range cols {
		title += "  " + s.fitRight(c.title, max(len(c.title), 5))
	}
	lines := []string{s.heading(title, width)}
	for _, r := range f.Server {
		line, used := s.fit(r.API, first), first
		for _, c := range cols {
			w := max(len(c.title), 5)
			if used+2+w > width {
				break
			}
			used += 2 + w
			ink := plain
			if c.bad && c.value(r) > 0 {
				ink = red
			}
			line += "  " + s.paint(ink, s.fitRight(strconv.FormatUint(c.value(r), 10), w))
		}
		if r.Fault != "" && width-used > 2 {
			line += "  " + s.paint(red, s.cut("outage: "+r.Fault, width-used-2))
		}
		lines = append(lines, line)
	}
	return lines
}

// requestList shows the latest requests, newest first, so that the eye finds
// what is new in one place.
func (s Style) requestList(f Frame, width, count int) []string {
	lines := []string{s.heading("RECENT REQUESTS", width)}
	for i := len(f.Requests) - 1; i >= 0 && len(lines) <= count; i-- {
		r := f.Requests[i]
		ink := plain
		if r.Bad {
			ink = red
		}
		line := r.At.Format(time.TimeOnly) + "  " + s.fit(r.API, 12) + s.fit(r.What, 19) + s.fit(r.Who, 23)
		left := width - columns(line)
		if left < 10 {
			lines = append(lines, s.cut(line, width))
			continue
		}
		lines = append(lines, line+s.paint(ink, s.cut(r.Outcome, left)))
	}
	return lines
}

func (s Style) eventList(f Frame, width, count int) []string {
	lines := []string{s.heading("EVENTS", width)}
	for _, e := range f.Events[len(f.Events)-count:] {
		lines = append(lines, s.cut(e, width))
	}
	return lines
}

func (s Style) footer(f Frame, width int) []string {
	hint := "ctrl-c leaves; a second start resumes without a request"
	if example := exampleFile(f); example != "" {
		hint = "cat " + example + "   " + s.pick("·", "-") + "   ctrl-c leaves, a restart resumes"
	}
	return []string{s.heading(hint, width)}
}
