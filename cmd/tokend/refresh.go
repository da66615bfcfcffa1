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
	cmd, login := newAttempt("refresh", "Ask for new access tokens now",
		`Ask the daemon for a new access token of every token named, and wait for the
result. The daemon keeps to the limits of the provider, so that this can take a
while; min_interval does not hold back a request that a person asks for. The
request goes on when the waiting ends.`)
	cmd.Flags().BoolVar(login, "login", false, "log in anew instead of using the refresh token")
	return cmd
}

func newLogin() *cobra.Command {
	cmd, login := newAttempt("login", "Log in anew now",
		`Ask the daemon to log in anew for every token named, instead of using its
refresh token, and wait for the result. It is refresh --login.`)
	*login = true
	return cmd
}

// newAttempt is a command that asks for token requests; whether they are logins
// is up to what login points to.
func newAttempt(name, short, long string) (cmd *cobra.Command, login *bool) {
	var daemon daemonFlags
	var timeout time.Duration
	login = new(bool)
	cmd = &cobra.Command{
		Use:               name + " NAME…",
		Short:             short,
		Long:              long,
		Args:              someNames,
		ValidArgsFunction: daemon.completeNames(0),
		RunE: func(cmd *cobra.Command, names []string) error {
			client, err := daemon.client()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return refreshAll(ctx, client, names, *login, cmd.OutOrStdout())
		},
	}
	daemon.add(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "wait at most this `duration`")
	return cmd, login
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
