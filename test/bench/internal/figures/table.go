package figures

import (
	"fmt"
	"strings"
)

// Row is one line of the report: a figure, what it may be at best, what it is
// to reach, and what each system was measured at.
type Row struct {
	Figure  string
	Floor   string
	Target  string
	Loop    string
	Tokend  string
	Verdict string
}

// The verdicts of a row. A row that only informs has none.
const (
	Met    = "met"
	Missed = "MISSED"
	None   = "–"
)

// Verdict is [Met] when ok holds, and [Missed] when it does not.
func Verdict(ok bool) string {
	if ok {
		return Met
	}
	return Missed
}

// Table renders rows as a markdown table whose columns line up in plain text
// too. An empty cell becomes a dash.
func Table(rows []Row) string {
	cells := [][]string{{"figure", "floor", "to reach", "plain loop", "tokend", "verdict"}}
	for _, r := range rows {
		cells = append(cells, []string{r.Figure, r.Floor, r.Target, r.Loop, r.Tokend, r.Verdict})
	}
	widths := make([]int, len(cells[0]))
	for _, line := range cells {
		for i := range line {
			if line[i] == "" {
				line[i] = None
			}
			widths[i] = max(widths[i], len([]rune(line[i])))
		}
	}
	var b strings.Builder
	for i, line := range cells {
		writeLine(&b, line, widths)
		if i == 0 {
			writeRule(&b, widths)
		}
	}
	return b.String()
}

func writeLine(b *strings.Builder, line []string, widths []int) {
	for i, cell := range line {
		fmt.Fprintf(b, "| %s%s ", cell, strings.Repeat(" ", widths[i]-len([]rune(cell))))
	}
	b.WriteString("|\n")
}

func writeRule(b *strings.Builder, widths []int) {
	for _, width := range widths {
		b.WriteString("|" + strings.Repeat("-", width+2))
	}
	b.WriteString("|\n")
}
