package main

import (
	"strings"
	"unicode/utf8"
)

// cell is a text with its colour.
type cell struct{ text, color string }

// table aligns rows; notes hang under the row that they explain.
type table struct {
	style style
	head  []string
	rows  []row
}

type row struct {
	cells []cell
	notes []cell
}

// lines renders the table, one string a line, without trailing blanks.
func (t *table) lines() []string {
	widths := t.widths()
	var head []cell
	for _, h := range t.head {
		head = append(head, cell{h, dim})
	}
	out := []string{t.line(head, widths)}
	for _, r := range t.rows {
		out = append(out, t.line(r.cells, widths))
		for _, n := range r.notes {
			out = append(out, t.wrap(n)...)
		}
	}
	return out
}

func (t *table) widths() []int {
	widths := make([]int, len(t.head))
	for i, h := range t.head {
		widths[i] = utf8.RuneCountInString(h)
	}
	for _, r := range t.rows {
		for i, c := range r.cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	return widths
}

// width is that of the widest line, notes apart.
func (t *table) width() int {
	sum := columnGap * (len(t.head) - 1)
	for _, w := range t.widths() {
		sum += w
	}
	return sum
}

// columnGap stands between two columns.
const columnGap = 2

func (t *table) line(cells []cell, widths []int) string {
	var b strings.Builder
	gap := 0
	for i, c := range cells {
		if c.text != "" {
			b.WriteString(strings.Repeat(" ", gap))
			b.WriteString(t.style.paint(c.color, c.text))
			gap = 0
		}
		gap += widths[i] - utf8.RuneCountInString(c.text) + columnGap
	}
	return b.String()
}

// noteIndent stands before a note.
const noteIndent = "  "

// wrap breaks a note at blanks, so that it fits the terminal.
func (t *table) wrap(n cell) []string {
	var out []string
	line := noteIndent
	for word := range strings.FieldsSeq(n.text) {
		length := utf8.RuneCountInString(line) + 1 + utf8.RuneCountInString(word)
		if t.style.width > 0 && length > t.style.width && strings.TrimSpace(line) != "" {
			out = append(out, t.style.paint(n.color, line))
			line = noteIndent + "  "
		}
		if strings.TrimSpace(line) != "" {
			line += " "
		}
		line += word
	}
	return append(out, t.style.paint(n.color, line))
}
