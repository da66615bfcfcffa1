package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/control"
)

func newRefresh() *cobra.Command {
	var daemon daemonFlags
	var login bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "refresh NAME…",
		Short: "Ask for new access tokens now",
		Long: `Ask the daemon for a new access token of every token named, and wait for the
result. The daemon keeps to the limits of the provider, so that this can take a
while; min_interval does not hold back a request that a person asks for. The
request goes on when the waiting ends.`,
		Args:              someNames,
		ValidArgsFunction: daemon.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			client, err := daemon.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return refreshAll(ctx, client, names, login, cmd.OutOrStdout())
		},
	}
	daemon.add(cmd)
	cmd.Flags().BoolVar(&login, "login", false, "log in anew instead of using the refresh token")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "wait at most this `duration`")
	return cmd
}

// refreshAll asks for all at once, and reports in the order of the names.
func refreshAll(ctx context.Context, client *control.Client, names []string, login bool, w io.Writer) error {
	errs := make([]error, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() { errs[i] = client.Refresh(ctx, name, login) })
	}
	group.Wait()
	for i, name := range names {
		switch {
		case errors.Is(errs[i], control.ErrUnknownToken):
		case errs[i] != nil:
			errs[i] = fmt.Errorf("refresh %s: %w", name, errs[i])
		default:
			errs[i] = sayFresh(ctx, client, name, w)
		}
	}
	return errors.Join(errs...)
}

func sayFresh(ctx context.Context, client *control.Client, name string, w io.Writer) error {
	s, err := client.Status(ctx, name)
	if err != nil {
		return err
	}
	for _, t := range s.Tokens {
		_, err = fmt.Fprintf(w, "%s: generation %d, expires %s\n", t.Name, t.Generation, relative(t.ExpiresAt, time.Now()))
	}
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return nil
}
