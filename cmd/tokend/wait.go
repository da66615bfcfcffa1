package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func newWait() *cobra.Command {
	var daemon daemonFlags
	var minTTL, timeout time.Duration
	cmd := &cobra.Command{
		Use:   "wait [NAME…]",
		Short: "Wait until tokens are fresh",
		Long: `Wait until every token, or every one named, has a valid access token, with at
least --min-ttl left. Prints nothing. Ends with 5, naming those that are
missing, when that takes longer than --timeout, and with 4 when no daemon
answers.`,
		Example:           `  tokend wait operator --min-ttl 10m --timeout 1m && ./batch`,
		ValidArgsFunction: daemon.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			if minTTL < 0 || timeout < 0 {
				return usage(cmd, fmt.Errorf("--min-ttl and --timeout can't be negative"))
			}
			client, err := daemon.client()
			if err != nil {
				return err
			}
			return client.Wait(cmd.Context(), names, minTTL, timeout)
		},
	}
	daemon.add(cmd)
	cmd.Flags().DurationVar(&minTTL, "min-ttl", 0, "wait until the tokens live for at least this `duration`")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "wait at most this `duration`; 0 waits without end")
	return cmd
}
