package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/process"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
	"github.com/tokend-project/tokend/test/bench/internal/watchdog"
)

// stage is one system with a server, a watchdog and a folder of its own, all
// fresh, so that no run inherits anything from the one before.
type stage struct {
	settings *settings
	system   system
	tokens   int
	lifetime time.Duration
	rate     int    // requests a second that tokend is told of; 0: it must find out
	http     string // the address of tokend's http block; empty: none, and a log of warnings alone
	perToken bool   // metrics of every token, however many there are

	folder  string
	server  *process.Child
	address string
	admin   *tokenserver.Client
	book    *watchdog.Book
	watch   *watchdog.Watch
	child   *process.Child // the system, once started
}

// open starts the server and the watchdog; the system is started by its own call.
func (st *stage) open(base string) (err error) {
	if st.folder, err = os.MkdirTemp(base, "tokend-bench-*"); err != nil {
		return fmt.Errorf("making the run's folder: %w", err)
	}
	for _, folder := range []string{st.sinks(), st.logs()} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return fmt.Errorf("making the run's folder: %w", err)
		}
	}
	if err := st.startServer(); err != nil {
		return err
	}
	st.book = watchdog.NewBook(st.tokens)
	st.watch, err = watchdog.Start(st.sinks(), st.book)
	return err
}

func (st *stage) startServer() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding the token server: %w", err)
	}
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe for the token server: %w", err)
	}
	defer func() { _ = out.Close() }()
	st.server, err = process.Start("the token server", in, filepath.Join(st.logs(), "server"), self, "server", "-lifetime", st.lifetime.String())
	_ = in.Close()
	if err != nil {
		return err
	}
	var a tokenserver.Addresses
	if err := json.NewDecoder(out).Decode(&a); err != nil {
		return fmt.Errorf("reading the token server's addresses: %w", err)
	}
	st.address, st.admin = a.Token, tokenserver.NewClient(a.Admin)
	return nil
}

// start starts the system.
func (st *stage) start() error {
	argv, err := st.system.command(st)
	if err != nil {
		return err
	}
	st.child, err = process.Start(st.system.name(), nil, filepath.Join(st.logs(), "system"), argv...)
	return err
}

// close ends what the stage started. Its folder stays.
func (st *stage) close(ctx context.Context) error {
	var errs []error
	if st.child != nil {
		st.child.Stop(ctx, 10*time.Second)
	}
	if st.server != nil {
		st.server.Kill()
	}
	if st.watch != nil {
		errs = append(errs, st.watch.Close())
	}
	return errors.Join(errs...)
}

func (st *stage) logs() string     { return filepath.Join(st.folder, "logs") }
func (st *stage) sinks() string    { return filepath.Join(st.folder, "sinks") }
func (st *stage) tokenURL() string { return "http://" + st.address + "/token" }

// cold starts the system and returns how long it took until every file was valid.
func (st *stage) cold(ctx context.Context) (time.Duration, error) {
	if err := st.start(); err != nil {
		return 0, err
	}
	err := st.await(ctx, 3*time.Minute, "every file valid", func() bool {
		held, _ := st.book.Held()
		return held == st.tokens
	})
	if err != nil {
		return 0, err
	}
	_, whole := st.book.Held()
	return whole.Sub(st.child.Started), nil
}

// await returns once holds does. It fails when limit has passed or the system has
// ended.
func (st *stage) await(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	for deadline := time.Now().Add(limit); ; {
		if holds() {
			return nil
		}
		if err := st.child.Check(); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			held, _ := st.book.Held()
			return fmt.Errorf("after %v there was still not %s (%d of %d files were ever seen)", limit, what, held, st.tokens)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// until sleeps up to an instant, and fails when the system ends before.
func (st *stage) until(ctx context.Context, instant time.Time) error {
	if err := pause(ctx, time.Until(instant)); err != nil {
		return err
	}
	return st.child.Check()
}

// kill ends the system as a crash would.
func (st *stage) kill() error {
	if err := st.child.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	st.child.Kill()
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
