package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameWish is how long further signals are taken for the first one: timeout(1),
// and shells and runners that pass a signal on to a group that has had it
// already, deliver one wish twice within an instant.
const sameWish = 500 * time.Millisecond

// interruptible returns a context that the first SIGINT, SIGTERM or signal in
// more ends, so that what is in flight can be finished. A second one ends the
// process at once.
func interruptible(ctx context.Context, more ...os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	received := make(chan os.Signal, 4)
	signal.Notify(received, append(more, syscall.SIGINT, syscall.SIGTERM)...)
	done := make(chan struct{})
	go func() {
		defer cancel()
		obey(received, done, cancel, exitBy)
	}()
	return ctx, func() {
		signal.Stop(received)
		close(done)
	}
}

// obey lets the first signal cancel and a later one exit, until done is closed.
func obey(received <-chan os.Signal, done <-chan struct{}, cancel func(), exit func(os.Signal)) {
	var first time.Time
	for {
		select {
		case <-done:
			return
		case s := <-received:
			if first.IsZero() {
				first = time.Now()
				cancel()
			} else if time.Since(first) >= sameWish {
				exit(s)
			}
		}
	}
}

// exitBy ends with the code that a shell gives a process killed by s.
func exitBy(s os.Signal) {
	if n, ok := s.(syscall.Signal); ok {
		os.Exit(128 + int(n))
	}
	os.Exit(exitFailure)
}

// hangups returns a channel that holds a SIGHUP while there was at least one
// that nobody received yet: any number of them between two reloads is one.
func hangups() (c <-chan os.Signal, stop func()) {
	received := make(chan os.Signal, 1)
	signal.Notify(received, syscall.SIGHUP)
	return received, func() { signal.Stop(received) }
}
