package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tokend-project/tokend/internal/devview"
)

const (
	outputTable = "table"
	outputJSON  = "json"
)

// outputFlag adds --output.
func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", outputTable, "`format` of the output: table or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{outputTable, outputJSON}, cobra.ShellCompDirectiveNoFileComp))
}

func checkOutput(cmd *cobra.Command, output string) error {
	if output == outputTable || output == outputJSON {
		return nil
	}
	return usage(cmd, fmt.Errorf("--output is %q: it is one of table, json", output))
}

// writeJSON writes v for a program, readable by a person.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// style is what the place of an output can show.
type style struct {
	color   bool
	unicode bool
	width   int // columns; 0 when there is no terminal
	height  int // lines; 0 when there is no terminal
}

// styleOf looks at w and the environment: colours are for terminals alone, and
// not where NO_COLOR is set (https://no-color.org).
func styleOf(w io.Writer) style {
	wishes := devview.StyleOf(os.Getenv)
	s := style{unicode: wishes.Unicode}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return s
	}
	s.color = wishes.Color
	if width, height, err := term.GetSize(int(f.Fd())); err == nil {
		s.width, s.height = width, height
	}
	return s
}

// The colours, as ANSI numbers them.
const (
	plain  = ""
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s style) paint(color, text string) string {
	if !s.color || color == plain || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// pick returns fancy where the locale can show it.
func (s style) pick(fancy, ascii string) string {
	if s.unicode {
		return fancy
	}
	return ascii
}
