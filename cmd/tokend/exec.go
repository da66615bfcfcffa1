package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/token"
)

// What env(1) ends with when it can't become the command.
const (
	exitNotExecutable = 126
	exitNoCommand     = 127
)

func newExec() *cobra.Command {
	var daemon daemonFlags
	var fresh freshness
	var variable string
	cmd := &cobra.Command{
		Use:   "exec NAME -- COMMAND [ARGUMENT…]",
		Short: "Become a command that has a token in its environment",
		Long: `Replace this process by the command, with the access token in the environment
variable TOKEND_ACCESS_TOKEN or the one of --env. The command keeps the token
that was current at its start: one that runs for long reads a sink instead.`,
		Example:           `  tokend exec operator --env RATOR_TOKEN --min-ttl 10m -- ./batch --all`,
		Args:              execArgs,
		ValidArgsFunction: daemon.completeNames(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := errors.Join(checkVariable(cmd, variable), fresh.check(cmd)); err != nil {
				return err
			}
			t, err := fresh.token(cmd.Context(), &daemon, args[0])
			if err != nil {
				return err
			}
			return become(args[1:], withVariable(os.Environ(), variable, t))
		},
	}
	daemon.add(cmd)
	fresh.add(cmd)
	cmd.Flags().StringVarP(&variable, "env", "e", "TOKEND_ACCESS_TOKEN", "`name` of the environment variable")
	return cmd
}

// execArgs wants the name before the two dashes, and the command after them.
func execArgs(cmd *cobra.Command, args []string) error {
	dash := cmd.ArgsLenAtDash()
	if dash == 1 && len(args) > 1 {
		return nil
	}
	return usage(cmd, errors.New("exec takes the name of one token, two dashes and a command: tokend exec NAME -- COMMAND"))
}

var variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkVariable(cmd *cobra.Command, name string) error {
	if variablePattern.MatchString(name) {
		return nil
	}
	return usage(cmd, fmt.Errorf("--env is %q: that is no name of an environment variable", name))
}

// withVariable is environ with name set to the access token, once.
func withVariable(environ []string, name string, t token.Token) []string {
	out := make([]string, 0, len(environ)+1)
	for _, entry := range environ {
		if !strings.HasPrefix(entry, name+"=") {
			out = append(out, entry)
		}
	}
	return append(out, name+"="+t.AccessToken.Reveal())
}

// become replaces this process. It returns only when that failed.
func become(argv, environ []string) error {
	path, err := exec.LookPath(argv[0])
	if err == nil {
		err = syscall.Exec(path, argv, environ)
	}
	if lookup, ok := errors.AsType[*exec.Error](err); ok {
		err = lookup.Err // its text repeats the name
	}
	code := exitNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = exitNoCommand
	}
	return &codedError{fmt.Errorf("execute %s: %w", argv[0], err), code}
}
