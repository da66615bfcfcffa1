package devview

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// serverColumn is one figure of the server's table; bad figures are red when
// they are not zero.
type serverColumn struct {
	title string
	value func(Row) uint64
	bad   bool
}

const apiWidth = 10

// serverColumns are those that fit, the most telling first.
func serverColumns(width int) []serverColumn {
	all := []serverColumn{
		{"LOGINS", func(r Row) uint64 { return r.Logins }, false},
		{"REFRESHES", func(r Row) uint64 { return r.Refreshes }, false},
		{"REFUSED", func(r Row) uint64 { return r.Refused }, true},
		{"REUSED", func(r Row) uint64 { return r.Reuses }, true},
		{"PROBES 200", func(r Row) uint64 { return r.Accepted }, false},
		{"PROBES 401", func(r Row) uint64 { return r.Unauthorized }, false},
	}
	used := apiWidth
	for i, c := range all {
		if used += len(gap) + len(c.title); used > width {
			return all[:i]
		}
	}
	return all
}

func (s Style) serverTable(f Frame, width int) []string {
	columnsShown := serverColumns(width)
	titles := []string{s.fit("SERVER SAW", apiWidth)}
	for _, c := range columnsShown {
		titles = append(titles, c.title)
	}
	title := strings.Join(titles, gap)
	lines := []string{s.heading(title, width)}
	for _, r := range f.Server {
		lines = append(lines, s.serverRow(r, columnsShown, width-columns(title)))
	}
	return lines
}

func (s Style) serverRow(r Row, shown []serverColumn, room int) string {
	cells := []string{s.fit(r.API, apiWidth)}
	for _, c := range shown {
		ink := plain
		if c.bad && c.value(r) > 0 {
			ink = red
		}
		cells = append(cells, s.paint(ink, s.fitRight(strconv.FormatUint(c.value(r), 10), len(c.title))))
	}
	if r.Fault != "" && room > len(gap) {
		cells = append(cells, s.paint(red, s.cut(r.Fault, room-len(gap))))
	}
	return strings.Join(cells, gap)
}

// requestList shows the latest requests, newest first, so that the eye finds
// what is new in one place.
func (s Style) requestList(f Frame, width, count int) []string {
	lines := []string{s.heading("RECENT REQUESTS", width)}
	latest := f.Requests[len(f.Requests)-count:]
	what, who := 0, 0
	for _, r := range latest {
		what = min(max(what, columns(r.What)), 18)
		who = min(max(who, columns(r.Who)), 24)
	}
	for _, r := range slices.Backward(latest) {
		lines = append(lines, s.requestLine(r, what, who, width))
	}
	return lines
}

// requestLine leaves out who asked where the reason of a refusal needs the room.
func (s Style) requestLine(r Request, what, who, width int) string {
	line := r.At.Format(time.TimeOnly) + gap + s.fit(r.API, apiWidth) + gap + s.fit(r.What, what) + gap
	ink := plain
	if r.Bad {
		ink = red
	}
	if !r.Bad || width >= 104 {
		line += s.fit(r.Who, who) + gap
	}
	if columns(line) >= width {
		return s.cut(line, width)
	}
	return line + s.paint(ink, s.cut(r.Outcome, width-columns(line)))
}
