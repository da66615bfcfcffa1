package main

import (
	"context"
	"io"
	"os"
	"runtime/debug"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/systemd"
)

func newRun() *cobra.Command {
	var paths []string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the daemon",
		Long: `Keep every configured token fresh, until SIGTERM or SIGINT. What is in flight
then is finished, so that no refresh token is lost; a second signal ends the
daemon at once. SIGHUP loads the configuration again. The log goes to standard
error.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := harden(); err != nil {
				return err
			}
			return serve(cmd.Context(), pathsOr(paths), cmd.ErrOrStderr())
		},
	}
	configFlag(cmd, &paths, configUsage)
	return cmd
}

// How much the heap may grow between two collections, in percent. A start makes
// nothing but what stays, and what it leaves behind is given back soon after; from
// then on most of the heap is tokens, and a request leaves little behind.
const (
	growthAtStart = 400
	growth        = 50
)

// grow sets that, unless GOGC has its way.
func grow(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// serve is the daemon from its start to its end. Signals are caught before
// there is anything to lose.
func serve(ctx context.Context, paths []string, log io.Writer) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	hup, stopHup := hangups()
	defer stopHup()
	manager, err := systemd.FromEnvironment()
	if err != nil {
		return err
	}
	grow(growthAtStart)
	a, err := app.New(ctx, app.Options{ConfigPaths: paths, LogOutput: log, Version: buildVersion().Version, Manager: manager})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // asked to end before there was anything to finish: no failure
	case err != nil:
		return err
	}

	grow(growth)
	running, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { new(processors).run(running) })
	group.Go(func() {
		for {
			select {
			case <-running.Done():
				return
			case <-hup:
				_ = a.Reload(running) // the app logs it and shows it in its status
			}
		}
	})
	err = a.Run(ctx)
	cancel()
	group.Wait()
	return err
}
