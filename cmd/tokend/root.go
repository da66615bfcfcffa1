package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

const (
	groupDaemon = "daemon"
	groupAsk    = "ask"
)

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "tokend",
		Short: "Keep OAuth 2.0 access tokens fresh, and in the places where programs read them",
		Long: `tokend obtains OAuth 2.0 access tokens, refreshes them before they expire and
writes each new one to its sinks.

"tokend dev" shows how that looks, without any configuration.`,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(usage)
	root.AddGroup(
		&cobra.Group{ID: groupDaemon, Title: "The daemon:"},
		&cobra.Group{ID: groupAsk, Title: "Ask a running daemon:"},
	)
	add(root, groupDaemon, newRun(), newOnce(), newValidate(), newPlan(), newDev())
	add(root, groupAsk, newStatus(), newGet(), newExec(), newGitCredential(), newWait(), newRefresh(), newLogin(), newReload())
	root.AddCommand(newVersion(), newExplain(), newMan(), &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long:  exitCodesHelp,
	})
	refuseUnknownShells(root)
	return root
}

func add(root *cobra.Command, group string, commands ...*cobra.Command) {
	for _, c := range commands {
		c.GroupID = group
		root.AddCommand(c)
	}
}

// noSuchCommand refuses what is left on the command line when no command was
// found.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w. Did you mean %q?", err, near[0])
	}
	return usage(cmd, err)
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(cmd, fmt.Errorf("%s takes no argument, and there is %q", cmd.Name(), args[0]))
}

// oneName wants the name of one token.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return usage(cmd, fmt.Errorf("%s takes the name of one token, and there are %d arguments", cmd.Name(), len(args)))
}

// someNames wants the names of tokens.
func someNames(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return nil
	}
	return usage(cmd, fmt.Errorf("%s takes the names of tokens, and there is none", cmd.Name()))
}

// refuseUnknownShells makes an error of a shell that has no completion; cobra
// would show its help and succeed.
func refuseUnknownShells(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Args = noSuchShell
			c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

func noSuchShell(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(cmd, fmt.Errorf("no completion for %q: there is one for bash, fish, powershell and zsh", args[0]))
}
