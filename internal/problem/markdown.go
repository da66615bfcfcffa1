package problem

import (
	"fmt"
	"strings"
)

// Markdown writes the whole table as a page of the documentation.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Problem codes\n\n" +
		"Status, log and page name each failure by a code. `tokend explain CODE` says the same as this page, which is\n" +
		"generated from the program's own table.\n")
	for _, g := range Groups() {
		fmt.Fprintf(&b, "\n## %s\n", g.Title)
		for _, e := range g.Entries {
			b.WriteString(e.markdown())
		}
	}
	return b.String()
}

func (e Entry) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n### %s\n\n**%s.**", e.Code, e.Title)
	if len(e.Also) > 0 {
		fmt.Fprintf(&b, " Also `%s`.", strings.Join(e.Also, "`, `"))
	}
	fmt.Fprintf(&b, "\n\n%s\n\n*What to do.* %s\n", e.Cause, e.Remedy)
	return b.String()
}
