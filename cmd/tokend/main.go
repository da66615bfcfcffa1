// Command tokend keeps OAuth 2.0 access tokens fresh and in the places where
// programs read them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tokend-project/tokend/internal/config"
)

func main() { os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if said, ok := errors.AsType[*silentError](err); ok {
		return said.code
	}
	report(stderr, err)
	return exitCode(err)
}

// report writes an error for a person, one line for each of several.
func report(w io.Writer, err error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			report(w, e)
		}
		return
	}
	if broken, ok := errors.AsType[*config.Error](err); ok {
		reportConfig(w, broken)
		return
	}
	_, _ = fmt.Fprintln(w, "tokend:", err)
	if usage, ok := errors.AsType[*usageError](err); ok {
		_, _ = fmt.Fprintf(w, "tokend: see %q\n", usage.help)
	}
}

// reportConfig shows every fault at its place, and then how many there are.
func reportConfig(w io.Writer, broken *config.Error) {
	_ = sayReport(w, broken.Report)
	faults := len(broken.Report.Diagnostics) - broken.Report.Warnings()
	_, _ = fmt.Fprintf(w, "tokend: the configuration is invalid: %s\n", count(faults, "fault"))
}
