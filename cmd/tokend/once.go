package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/app"
)

func newOnce() *cobra.Command {
	var paths []string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "once",
		Short: "Fill every sink, then exit",
		Long: `Bring every sink up to date and end: for init containers and cron. A token that
is still fresh in the state is written without a request, one that is due is
refreshed. Ends with 1, naming the tokens that failed; the others are written
nevertheless. There must be no daemon on the same state directory. On a state in
Kubernetes or Vault there may be: what one obtains, the other finds. An ha block
is left aside.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := harden(); err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if timeout > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			return once(ctx, pathsOr(paths), cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &paths, configUsage)
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this `duration`; 0 never does")
	return cmd
}

func once(ctx context.Context, paths []string, log io.Writer) error {
	a, err := app.New(ctx, app.Options{ConfigPaths: paths, LogOutput: log, Version: buildVersion().Version, Alone: true})
	if err != nil {
		return err
	}
	return a.Once(ctx)
}
