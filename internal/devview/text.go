package devview

import (
	"strings"
	"unicode"
)

// columns is how wide a terminal draws text that clean has passed: East Asian
// wide characters take two columns, combining ones none.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300, r >= 0x2500 && r < 0x2600: // Latin, lines and blocks: nearly all of a picture
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana),
		r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
		return 2
	default:
		return 1
	}
}

// clean keeps control characters, and what the terminal cannot show, from
// reaching it: some of the text comes from servers.
func (s Style) clean(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar || (!s.Unicode && r > unicode.MaxASCII) {
			return '?'
		}
		return r
	}, text)
}

// fit cuts or pads text to exactly width columns, to the left side.
func (s Style) fit(text string, width int) string {
	text = s.cut(text, width)
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}

// fitRight does so to the right side.
func (s Style) fitRight(text string, width int) string {
	text = s.cut(text, width)
	return strings.Repeat(" ", max(0, width-columns(text))) + text
}

// cut shortens text to width columns and shows that it did.
func (s Style) cut(text string, width int) string {
	text = s.clean(text)
	if columns(text) <= width {
		return text
	}
	mark := s.pick("…", "~")
	if width < 1 {
		return ""
	}
	var b strings.Builder
	used := 1
	for _, r := range text {
		if used += runeColumns(r); used > width {
			break
		}
		b.WriteRune(r)
	}
	return b.String() + mark
}

// cutLeft shortens from the left: of a path, the end says most.
func (s Style) cutLeft(text string, width int) string {
	text = s.clean(text)
	if columns(text) <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	runes := []rune(text)
	used, from := 1, len(runes)
	for from > 0 && used+runeColumns(runes[from-1]) <= width {
		from--
		used += runeColumns(runes[from])
	}
	return s.pick("…", "~") + string(runes[from:])
}
