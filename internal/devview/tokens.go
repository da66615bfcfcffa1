package devview

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// layout is how wide the columns of the token table are; 0 leaves one out.
type layout struct {
	name, grant, state, bar, left, generation, refreshes, next, file int
}

const gapWidth = 2

// layoutOf shares the width out: fixed columns first, then bar and file grow.
// The grant and the next attempt appear where there is room for them.
func layoutOf(f Frame, width int) layout {
	l := layout{name: len("TOKEN"), state: 10, bar: 10, left: 5, generation: 3, refreshes: 4, file: 10}
	files := 10
	for _, t := range f.Tokens {
		l.name = min(max(l.name, len(t.Name)), 24)
		files = max(files, columns(fileOf(f, t)))
	}
	if width >= 104 {
		l.grant, l.next = 18, 14
	}
	spare := width - l.width()
	grow := max(0, min(spare, files-l.file))
	l.file += grow
	l.bar = max(4, min(l.bar+spare-grow, 30))
	return l
}

func (l layout) width() int {
	n := -gapWidth
	for _, w := range []int{l.name, l.grant, l.state, l.bar, l.left, l.generation, l.refreshes, l.next, l.file} {
		if w > 0 {
			n += w + gapWidth
		}
	}
	return n - 1 // bar and time left stand closer
}

func (s Style) tokenTable(f Frame, width int) []string {
	l := layoutOf(f, width)
	lines := []string{s.heading(s.tokenHeading(l), width)}
	for _, t := range f.Tokens {
		lines = append(lines, s.tokenRow(f, t, l, width))
	}
	return lines
}

func (s Style) tokenHeading(l layout) string {
	cells := []string{s.fit("TOKEN", l.name)}
	if l.grant > 0 {
		cells = append(cells, s.fit("GRANT", l.grant))
	}
	cells = append(cells, s.fit("STATE", l.state), s.fit("LIFETIME", l.bar+1+l.left),
		s.fitRight("GEN", l.generation), s.fitRight("REFR", l.refreshes))
	if l.next > 0 {
		cells = append(cells, s.fit("NEXT", l.next))
	}
	return strings.Join(append(cells, "FILE"), strings.Repeat(" ", gapWidth))
}

func (s Style) tokenRow(f Frame, t token.Status, l layout, width int) string {
	ink := stateInk(t.State)
	bar := Bar(Left(f.Now, t.IssuedAt, t.ExpiresAt), l.bar, s)
	cells := []string{s.fit(t.Name, l.name)}
	if l.grant > 0 {
		cells = append(cells, s.fit(t.Grant, l.grant))
	}
	cells = append(cells,
		s.paint(ink, s.fit(s.pick("● ", "* ")+string(t.State), l.state)),
		s.paint(ink, bar)+" "+s.fitRight(leftOf(f, t), l.left),
		s.fitRight(strconv.FormatUint(t.Generation, 10), l.generation),
		s.fitRight(strconv.FormatUint(t.Refreshes, 10), l.refreshes))
	if l.next > 0 {
		cells = append(cells, s.fit(nextOf(f, t), l.next))
	}
	row := strings.Join(cells, strings.Repeat(" ", gapWidth)) + strings.Repeat(" ", gapWidth)
	room := width - (l.width() - l.file)
	if trouble := troubleOf(t); trouble != "" {
		return row + s.paint(ink, s.cut(trouble, room))
	}
	return row + s.cutLeft(fileOf(f, t), room)
}

func stateInk(st token.State) ink {
	switch st {
	case token.StateFresh:
		return green
	case token.StateRetrying:
		return yellow
	case token.StateExpired:
		return red
	case token.StateHuman:
		return magenta
	default:
		return faint
	}
}

func leftOf(f Frame, t token.Status) string {
	if t.ExpiresAt.IsZero() || !f.Now.Before(t.ExpiresAt) {
		return "-"
	}
	return Short(t.ExpiresAt.Sub(f.Now).Truncate(time.Second))
}

func nextOf(f Frame, t token.Status) string {
	switch {
	case t.InFlight:
		return "asking now"
	case t.NextAttempt.IsZero():
		return ""
	default:
		return t.NextKind + " in " + Short(max(0, t.NextAttempt.Sub(f.Now)).Truncate(time.Second))
	}
}

// troubleOf takes the place of the file: a failed attempt or sink is the more
// urgent news.
func troubleOf(t token.Status) string {
	if t.LastError != nil && t.State != token.StateFresh {
		return t.LastError.Message
	}
	for _, sink := range t.Sinks {
		if sink.LastError != nil {
			return sink.LastError.Message
		}
	}
	return ""
}

// fileOf is the first file of a token, relative to the frame's directory.
func fileOf(f Frame, t token.Status) string {
	for _, sink := range t.Sinks {
		if sink.Kind != "file" {
			continue
		}
		if rel, ok := strings.CutPrefix(sink.Target, f.Dir+"/"); ok {
			return rel
		}
		return sink.Target
	}
	return ""
}

func exampleFile(f Frame) string {
	example := ""
	for _, t := range f.Tokens {
		file := fileOf(f, t)
		if file == "" {
			continue
		}
		if example == "" || strings.HasSuffix(file, "operator.token") {
			example = cmp.Or(f.DirAsTyped, f.Dir) + "/" + file
		}
	}
	return example
}
