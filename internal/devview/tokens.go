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

// gap stands between columns.
const gap = "  "

// minBar is the narrowest bar that still shows more than "full" and "empty".
const minBar = 6

// layoutOf shares the width out: the file gets what it needs, the bar what is
// left. Grant and next attempt appear where there is room for them, and the
// refreshes go where there is none for the file.
func layoutOf(f Frame, width int) layout {
	l := layout{name: len("TOKEN"), state: 10, bar: minBar, left: 5, generation: 3, refreshes: 4, file: len("FILE")}
	files := l.file
	for _, t := range f.Tokens {
		l.name = min(max(l.name, len(t.Name)), 24)
		files = max(files, columns(fileOf(f, t)))
	}
	if width >= 104 {
		l.grant, l.next = 18, 16
	}
	if l.width()-l.file+files > width {
		l.refreshes = 0
	}
	// A very narrow terminal keeps name, state and lifetime.
	for _, least := range []*int{&l.file, &l.generation, &l.left} {
		if l.width() > width {
			*least = 0
		}
	}
	l.name = max(1, l.name-max(0, l.width()-width))
	if l.file == 0 {
		return l
	}
	spare := max(0, width-l.width())
	grow := min(spare, files-l.file)
	l.file += grow
	l.bar = min(l.bar+spare-grow, 30)
	return l
}

func (l layout) width() int {
	n := 1 - len(gap) // the space between bar and time left, which are one cell
	for _, w := range []int{l.name, l.grant, l.state, l.bar + l.left, l.generation, l.refreshes, l.next, l.file} {
		if w > 0 {
			n += w + len(gap)
		}
	}
	return n
}

// row joins the cells of the columns that are shown.
func (l layout) row(name, grant, state, life, generation, refreshes, next, file string) string {
	cells := []string{name}
	for _, c := range []struct {
		width int
		text  string
	}{
		{l.grant, grant}, {l.state, state}, {l.bar, life}, {l.generation, generation},
		{l.refreshes, refreshes}, {l.next, next}, {l.file, file},
	} {
		if c.width > 0 {
			cells = append(cells, c.text)
		}
	}
	return strings.Join(cells, gap)
}

// tokenTable has a row a token, and below it, where there is one, its trouble.
func (s Style) tokenTable(f Frame, width int) []string {
	l := layoutOf(f, width)
	lines := []string{s.heading(s.tokenHeading(l), width)}
	for _, t := range f.Tokens {
		lines = append(lines, s.tokenRow(f, t, l))
		if trouble := troubleOf(t); trouble != "" {
			lines = append(lines, "  "+s.paint(stateInk(t.State), s.cut(s.pick("└ ", "` ")+trouble, width-2)))
		}
	}
	return lines
}

func (s Style) tokenHeading(l layout) string {
	return l.row(s.fit("TOKEN", l.name), s.fit("GRANT", l.grant), s.fit("STATE", l.state),
		s.fit("LIFETIME", l.bar+1+l.left), s.fitRight("GEN", l.generation),
		s.fitRight("REFR", l.refreshes), s.fit("NEXT", l.next), "FILE")
}

func (s Style) tokenRow(f Frame, t token.Status, l layout) string {
	ink := stateInk(t.State)
	bar := Bar(Left(f.Now, t.IssuedAt, t.ExpiresAt), l.bar, s)
	return l.row(s.fit(t.Name, l.name), s.fit(t.Grant, l.grant),
		s.paint(ink, s.fit(s.pick("● ", "* ")+string(t.State), l.state)),
		s.paint(ink, bar)+" "+s.fitRight(leftOf(f, t), l.left),
		s.fitRight(strconv.FormatUint(t.Generation, 10), l.generation),
		s.fitRight(strconv.FormatUint(t.Refreshes, 10), l.refreshes),
		s.fit(nextOf(f, t), l.next), s.cutLeft(fileOf(f, t), l.file))
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
	case !f.Now.Before(t.NextAttempt):
		return t.NextKind + " due"
	default:
		return t.NextKind + " in " + Short(t.NextAttempt.Sub(f.Now).Truncate(time.Second))
	}
}

// troubleOf is why a token or one of its sinks is not as it should be.
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
