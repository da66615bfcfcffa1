package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/problem"
)

// proseWidth is how wide text is set that is read and not scanned.
const proseWidth = 78

func newExplain() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Say what a problem code means and what to do about it",
		Long: `Say what a problem code means, why it comes up, and what to do about it. The
codes stand in status, in the log and on the status page. Without a code, list
them all. No daemon is needed.`,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return problem.Codes(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(cmd, output); err != nil {
				return err
			}
			switch len(args) {
			case 0:
				return listProblems(cmd.OutOrStdout(), output)
			case 1:
				return explain(cmd, args[0], output)
			}
			return usage(cmd, fmt.Errorf("explain takes one code, and there are %d arguments", len(args)))
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func explain(cmd *cobra.Command, code, output string) error {
	e, ok := problem.Find(code)
	if !ok {
		err := fmt.Errorf("no problem code %q", code)
		if near := problem.Nearest(code); near != "" {
			err = fmt.Errorf("%w. Did you mean %q?", err, near)
		}
		return usage(cmd, err)
	}
	w := cmd.OutOrStdout()
	if output == outputJSON {
		return writeJSON(w, e)
	}
	style := styleOf(w)
	lines := []string{style.paint(bold, e.Code) + "  " + e.Title}
	if len(e.Also) > 0 {
		lines = append(lines, style.paint(dim, "also "+strings.Join(e.Also, ", ")))
	}
	lines = append(lines, "")
	lines = append(lines, prose(e.Cause)...)
	lines = append(lines, "")
	lines = append(lines, prose("What to do: "+e.Remedy)...)
	return writeLines(w, lines)
}

func listProblems(w io.Writer, output string) error {
	if output == outputJSON {
		var all []problem.Entry
		for _, g := range problem.Groups() {
			all = append(all, g.Entries...)
		}
		return writeJSON(w, all)
	}
	width := 0
	for _, code := range problem.Codes() {
		width = max(width, len(code))
	}
	style := styleOf(w)
	var lines []string
	for _, g := range problem.Groups() {
		lines = append(lines, style.paint(dim, g.Title))
		for _, e := range g.Entries {
			lines = append(lines, fmt.Sprintf("  %-*s  %s", width, e.Code, e.Title))
		}
		lines = append(lines, "")
	}
	return writeLines(w, append(lines, `"tokend explain CODE" says why, and what to do.`))
}

func writeLines(w io.Writer, lines []string) error {
	if _, err := io.WriteString(w, strings.Join(lines, "\n")+"\n"); err != nil {
		return fmt.Errorf("write the explanation: %w", err)
	}
	return nil
}

// prose breaks a text at blanks.
func prose(text string) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > proseWidth {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
