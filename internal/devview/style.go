package devview

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Style is what a terminal can show. The zero Style is plain ASCII.
type Style struct {
	Color   bool // ANSI colours and attributes
	Unicode bool // block and line characters
	Dumb    bool // the cursor can't be moved, so there is no screen to draw
}

// StyleOf reads the user's wishes from the environment through getenv
// (such as [os.Getenv]): NO_COLOR turns colours off, a locale that is not UTF-8
// leaves ASCII, and a TERM that is "dumb" or missing leaves lines of text.
func StyleOf(getenv func(string) string) Style {
	locale := getenv("LANG")
	for _, name := range []string{"LC_ALL", "LC_CTYPE"} { // POSIX: the first one set decides
		if v := getenv(name); v != "" {
			locale = v
			break
		}
	}
	locale = strings.ToUpper(locale)
	dumb := getenv("TERM") == "dumb" || getenv("TERM") == ""
	return Style{
		Dumb:    dumb,
		Color:   getenv("NO_COLOR") == "" && !dumb,
		Unicode: strings.Contains(locale, "UTF-8") || strings.Contains(locale, "UTF8"),
	}
}

// IsTerminal reports whether out is a terminal on which a screen can be drawn.
func IsTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// ink is an ANSI SGR parameter. Only the eight base colours are used: they are
// the ones that themes for light and dark backgrounds both keep readable.
type ink string

const (
	plain   ink = ""
	bold    ink = "1"
	faint   ink = "2"
	red     ink = "31"
	green   ink = "32"
	yellow  ink = "33"
	magenta ink = "35"
)

func (s Style) paint(i ink, text string) string {
	if !s.Color || i == plain || text == "" {
		return text
	}
	return "\x1b[" + string(i) + "m" + text + "\x1b[0m"
}

// pick returns the first where the terminal knows Unicode, else the second.
func (s Style) pick(unicode, ascii string) string {
	if s.Unicode {
		return unicode
	}
	return ascii
}
