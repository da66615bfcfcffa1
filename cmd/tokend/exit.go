package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	statefile "github.com/tokend-project/tokend/internal/state/file"
)

// The exit codes, as `tokend help exit-codes` explains them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitConfig      = 3
	exitUnreachable = 4
	exitNotFresh    = 5
	exitUnknown     = 6
	exitLocked      = 7
)

const exitCodesHelp = `The exit codes of tokend:

  0    success
  1    failure: standard error says which
  2    usage: no such command, flag or argument
  3    the configuration is invalid
  4    no daemon answers at the control socket, or it refuses this user
  5    no valid access token, or less than --min-ttl is left of it; of status:
       a token that it shows has no valid access token
  6    no token of this name is configured
  7    another daemon owns the state or the control socket

  130  ended at once by a second SIGINT (143: by a second SIGTERM); the first
       one drains and ends with 0

When several tokens fail in different ways, the smallest code is used. exec
ends with the code of the command that it becomes; where there is no such
command it ends with 127, and with 126 where it can't be executed.
`

// usageError is a command line that can't be obeyed.
type usageError struct {
	err  error
	help string // the command that explains
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// usage makes err a usage error of cmd; nil stays nil.
func usage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	topic := strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()))
	return &usageError{err: err, help: strings.Join(strings.Fields(cmd.Root().Name()+" help "+topic), " ")}
}

// silentError ends with a code after everything has been said.
type silentError struct{ code int }

func (e *silentError) Error() string { return "" }

// codedError is an error with an exit code of its own.
type codedError struct {
	err  error
	code int
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

// exitCode is the code that err stands for. Of several errors it is the
// smallest.
func exitCode(err error) int {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		code := exitLocked
		for _, e := range many.Unwrap() {
			code = min(code, exitCode(e))
		}
		return code
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	for _, c := range []struct {
		found bool
		code  int
	}{
		{is[*usageError](err), exitUsage},
		{is[*config.Error](err) || errors.Is(err, control.ErrConfig), exitConfig},
		{is[*control.UnreachableError](err) || errors.Is(err, control.ErrForbidden) || errors.Is(err, control.ErrStopping), exitUnreachable},
		{errors.Is(err, control.ErrNotReady) || errors.Is(err, control.ErrTooShort), exitNotFresh},
		{errors.Is(err, control.ErrUnknownToken), exitUnknown},
		{is[*control.InUseError](err) || errors.Is(err, statefile.ErrLocked), exitLocked},
	} {
		if c.found {
			return c.code
		}
	}
	return exitFailure
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
