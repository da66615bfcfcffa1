// Command bench measures tokend side by side with the loop that an engineer would
// write instead of it, against a token server on the same machine. README.md says
// how to run it and what each figure means.
//
//	bench [flags]          the driver: runs the rows and prints the table
//	bench server [flags]   the token server, as the driver starts it
//	bench loop [flags]     the plain loop, as the driver starts it
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/plainloop"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "server":
			return runServer(ctx, args[1:])
		case "loop":
			return runLoop(ctx, args[1:])
		}
	}
	s, err := parseSettings(args)
	if err != nil {
		return err
	}
	return drive(ctx, s)
}

func runServer(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench server", flag.ContinueOnError)
	lifetime := flags.Duration("lifetime", time.Minute, "lifetime of access tokens, whole seconds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return tokenserver.Run(ctx, *lifetime, os.Stdout)
}

func runLoop(ctx context.Context, args []string) error {
	o := plainloop.Options{ClientSecret: tokenserver.ClientSecret, Log: log.New(os.Stderr, "", log.LstdFlags)}
	flags := flag.NewFlagSet("bench loop", flag.ContinueOnError)
	flags.StringVar(&o.TokenURL, "url", "", "token endpoint")
	flags.StringVar(&o.Dir, "sinks", "", "directory of the token files")
	flags.IntVar(&o.Tokens, "n", 10_000, "number of tokens")
	flags.IntVar(&o.InFlight, "in-flight", 256, "refreshes at a time")
	flags.DurationVar(&o.Timeout, "timeout", 30*time.Second, "timeout of a request")
	if err := flags.Parse(args); err != nil {
		return err
	}
	plainloop.Run(ctx, o)
	return nil
}
