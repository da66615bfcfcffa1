package devview

import (
	"strings"
	"time"
)

// Render draws a frame as exactly height lines of at most width columns, joined
// by newlines. What does not fit is left out from the least important: events
// first, then requests, the server's rows, the spacing, and at last the tokens.
// A terminal of less than 32 columns or 3 lines gets a picture of that size, of
// which it shows what it can.
func Render(f Frame, width, height int, s Style) string {
	width, height = max(width, 32), max(height, 3)
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
