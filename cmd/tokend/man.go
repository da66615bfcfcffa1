package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIRECTORY",
		Short:  "Write the manual pages into a directory",
		Hidden: true, // whoever makes packages knows it
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return writePages(cmd.Root(), args[0])
		},
	}
}

// writePages writes the page of cmd and of each command below it.
func writePages(cmd *cobra.Command, dir string) error {
	cmd.InitDefaultHelpFlag()
	var page strings.Builder
	writePage(&page, cmd)
	path := filepath.Join(dir, pageName(cmd)+".1")
	if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil { //nolint:gosec // a manual page is for everybody
		return fmt.Errorf("write a manual page: %w", err)
	}
	for _, c := range shown(cmd) {
		if err := writePages(c, dir); err != nil {
			return err
		}
	}
	return nil
}

func shown(cmd *cobra.Command) (commands []*cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() && !c.Hidden {
			commands = append(commands, c)
		}
	}
	return commands
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// writePage writes one page in man(7). It bears no date: the same sources make
// the same page.
func writePage(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(w, ".TH %s 1 \"\" \"tokend\" \"tokend\"\n.nh\n.ad l\n", roff(strings.ToUpper(pageName(cmd))))
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(lowerFirst(cmd.Short)))
	fmt.Fprint(w, ".SH SYNOPSIS\n")
	if cmd.Runnable() || !cmd.HasSubCommands() {
		fmt.Fprintf(w, ".B %s\n", roff(cmd.UseLine()))
	}
	if cmd.HasSubCommands() {
		fmt.Fprintf(w, ".br\n.B %s\n.I command\n[flags]\n", roff(cmd.CommandPath()))
	}
	fmt.Fprint(w, ".SH DESCRIPTION\n")
	writeText(w, long(cmd))
	writeOptions(w, "OPTIONS", cmd.NonInheritedFlags())
	writeOptions(w, "OPTIONS OF ALL COMMANDS", cmd.InheritedFlags())
	if commands := shown(cmd); len(commands) > 0 {
		fmt.Fprint(w, ".SH COMMANDS\n")
		for _, c := range commands {
			fmt.Fprintf(w, ".TP\n.BR %s (1)\n%s\n", roff(pageName(c)), roff(c.Short))
		}
	}
	if cmd.Example != "" {
		fmt.Fprint(w, ".SH EXAMPLES\n")
		writeText(w, indented(cmd.Example))
	}
	writeSeeAlso(w, cmd)
}

func long(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

func writeSeeAlso(w io.Writer, cmd *cobra.Command) {
	if !cmd.HasParent() {
		return
	}
	fmt.Fprintf(w, ".SH SEE ALSO\n.BR %s (1)", roff(pageName(cmd.Parent())))
	if cmd.Name() != "exit-codes" {
		fmt.Fprintf(w, ",\n.BR %s (1)", roff(pageName(cmd.Root())+"-exit-codes"))
	}
	fmt.Fprintln(w)
}

func writeOptions(w io.Writer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(w, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		value, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(w, ".TP\n\\fB%s\\fR", roff(name))
		if value != "" {
			fmt.Fprintf(w, " \\fI%s\\fR", roff(value))
		}
		fmt.Fprintf(w, "\n%s\n", roff(usage))
	})
}

// writeText writes paragraphs; lines that begin with a space stay as they are.
func writeText(w io.Writer, text string) {
	verbatim := false
	set := func(on bool) {
		if on == verbatim {
			return
		}
		verbatim = on
		if on {
			fmt.Fprint(w, ".PP\n.nf\n")
		} else {
			fmt.Fprint(w, ".fi\n")
		}
	}
	for line := range strings.Lines(strings.TrimSpace(text) + "\n") {
		line = strings.TrimRight(line, "\n")
		if line == "" {
			set(false)
			fmt.Fprint(w, ".PP\n")
			continue
		}
		set(line[0] == ' ' || line[0] == '\t')
		fmt.Fprintln(w, roff(line))
	}
	set(false)
}

// roff keeps text from being taken for requests and escapes.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "~", `\(ti`, "^", `\(ha`, "\n", " ").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + strings.TrimSpace(line) + "\n")
	}
	return " \n" + b.String()
}

func lowerFirst(s string) string {
	if s == "" || strings.HasPrefix(s, "OAuth") {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}
