package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	statefile "github.com/tokend-project/tokend/internal/state/file"
)

func TestExitCodesAreThoseOfTheHelp(t *testing.T) {
	unknown := &control.Error{Code: control.CodeUnknownToken, Message: "no such token"}
	for name, c := range map[string]struct {
		err  error
		code int
	}{
		"anything":        {errors.New("broken"), exitFailure},
		"usage":           {&usageError{err: errors.New("flag")}, exitUsage},
		"config":          {fmt.Errorf("load: %w", &config.Error{}), exitConfig},
		"reload":          {&control.Error{Code: control.CodeConfig}, exitConfig},
		"no daemon":       {&control.UnreachableError{Err: fs.ErrNotExist}, exitUnreachable},
		"forbidden":       {&control.Error{Code: control.CodeForbidden}, exitUnreachable},
		"stopping":        {&control.Error{Code: control.CodeStopping}, exitUnreachable},
		"not ready":       {&control.Error{Code: control.CodeNotReady}, exitNotFresh},
		"too short":       {&control.Error{Code: control.CodeTooShort}, exitNotFresh},
		"unknown token":   {unknown, exitUnknown},
		"state locked":    {fmt.Errorf("open: %w", statefile.ErrLocked), exitLocked},
		"socket in use":   {fmt.Errorf("serve: %w", &control.InUseError{}), exitLocked},
		"several":         {errors.Join(unknown, &control.Error{Code: control.CodeNotReady}), exitNotFresh},
		"several alike":   {errors.Join(unknown, unknown), exitUnknown},
		"no such command": {&codedError{errors.New("exec"), exitNoCommand}, exitNoCommand},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(c.err); got != c.code {
				t.Errorf("exitCode(%v) = %d, want %d", c.err, got, c.code)
			}
			if c.code < exitNotExecutable && !strings.Contains(exitCodesHelp, fmt.Sprintf("\n  %d    ", c.code)) {
				t.Errorf("the help does not explain %d", c.code)
			}
		})
	}
}
