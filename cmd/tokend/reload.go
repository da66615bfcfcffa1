package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// reloadTimeout is far beyond what the largest configuration takes.
const reloadTimeout = time.Minute

func newReload() *cobra.Command {
	var daemon daemonFlags
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Load the configuration again",
		Long: `Do what SIGHUP does, and what the daemon does by itself when a file of its
configuration changes: load the configuration and put what changed into effect.
The first fault of a broken one is reported here, and the last good one runs on.
"tokend plan" tells beforehand what would happen, "tokend validate" tells every
fault.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := daemon.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), reloadTimeout)
			defer cancel()
			return client.Reload(ctx)
		},
	}
	daemon.add(cmd)
	return cmd
}
