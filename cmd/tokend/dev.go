package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/devserver"
	"github.com/tokend-project/tokend/internal/devview"
)

// devOptions are the flags of dev.
type devOptions struct {
	dir         string
	address     string
	lifetime    time.Duration
	printConfig bool
	plain       bool
}

func newDev() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Try tokend without any configuration",
		Long: `Start a built-in authorization server on this machine that speaks three real
APIs with short lifetimes, and the daemon beside it, which keeps six tokens
fresh in files below ./tokend-dev. On a terminal a live view shows the tokens
and what the server saw; elsewhere every event is a line.

Everything stays in that directory, the configuration too: edit its tokend.hcl
and watch the daemon take it up. A second start resumes without a request.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return usage(cmd, err)
			}
			if o.printConfig {
				return printDevConfig(o, cmd.OutOrStdout())
			}
			return dev(cmd.Context(), o, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&o.dir, "dir", "tokend-dev", "`directory` that holds everything")
	cmd.Flags().StringVar(&o.address, "address", "", "loopback `address` of the authorization server (default: the last one, else any free port)")
	cmd.Flags().DurationVar(&o.lifetime, "lifetime", devserver.DefaultLifetime, "`duration` of an access token's life")
	cmd.Flags().BoolVar(&o.printConfig, "print-config", false, "print the configuration and exit")
	cmd.Flags().BoolVar(&o.plain, "plain", false, "print events as lines on a terminal too")
	return cmd
}

func (o devOptions) check() error {
	if o.lifetime < time.Second {
		return fmt.Errorf("--lifetime is %s: servers count in seconds, so it is 1s at least", o.lifetime)
	}
	if o.address != "" {
		return checkLoopback(o.address)
	}
	return nil
}

// printDevConfig prints what dev would run, and leaves no trace.
func printDevConfig(o devOptions, out io.Writer) error {
	dir, err := findDevDir(o.dir)
	if err != nil {
		return err
	}
	server, err := devserver.New(devserver.Options{Lifetime: o.lifetime})
	if err != nil {
		return err
	}
	address := cmp.Or(o.address, dir.memory.Address, "127.0.0.1:8080")
	_, err = io.WriteString(out, server.Config("http://"+address, dir.root))
	return errors.Join(err, server.Close())
}

// dev owns the directory, the server, the daemon and the view, and takes them
// down in the opposite order: what is in flight still finds its server.
func dev(ctx context.Context, o devOptions, out io.Writer) (err error) {
	dir, err := openDevDir(ctx, o.dir)
	if err != nil {
		return err
	}
	server, err := devserver.New(devserver.Options{Lifetime: o.lifetime, StatePath: dir.path("server.json")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	listener, err := dir.listen(ctx, o.address)
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	ctx, stop := interruptible(ctx, syscall.SIGHUP) // a terminal that closes ends it
	defer stop()
	web := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 10 * time.Second}
	var group sync.WaitGroup
	group.Go(func() { _ = web.Serve(listener) }) // ends with ErrServerClosed
	defer group.Wait()
	defer func() { _ = web.Close() }()
	if err := dir.keepConfig(base, func(base string) string { return server.Config(base, dir.root) }); err != nil {
		return err
	}
	view := devview.View{Out: out, Style: devview.StyleOf(os.Getenv), Plain: o.plain}
	return devDaemon(ctx, dir, view, &devFrames{server: server, address: base, dir: dir, typed: o.dir, started: time.Now()})
}

// devDaemon runs the daemon and shows it until ctx is done or one of them fails.
func devDaemon(ctx context.Context, dir *devDir, view devview.View, frames *devFrames) (err error) {
	log, err := dir.openLog()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	a, err := app.New(ctx, app.Options{ConfigPaths: []string{dir.path(devConfig)}, LogOutput: log, Version: buildVersion().Version})
	if err != nil {
		return err
	}
	frames.status = a.Status

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var runErr error
	var group sync.WaitGroup
	group.Go(func() {
		defer cancel()
		runErr = a.Run(ctx)
	})
	viewErr := devview.Run(ctx, view, frames.next)
	cancel()
	group.Wait()
	if err := errors.Join(runErr, viewErr); err != nil {
		return err
	}
	_, err = fmt.Fprintf(view.Out, "stopped; everything is in %s, and the next start resumes there\n", filepath.Clean(frames.typed))
	return err
}
