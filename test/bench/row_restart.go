package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
	"github.com/tokend-project/tokend/test/bench/internal/watchdog"
)

// restart kills a system whose tokens all live, and starts it again; tokend then
// gets a config that differs in one token. Tokens live ten times as long as
// elsewhere, so that no request falls due by itself meanwhile.
func (b *bench) restart(ctx context.Context, sys system) error {
	st := b.whole(sys)
	st.lifetime *= 10
	return b.on(ctx, st, b.dir, func() error {
		if err := b.coldOn(ctx, st, "cold"); err != nil {
			return err
		}
		t, ok := sys.(tokend)
		if !ok {
			return b.restartLoop(ctx, st)
		}
		// One login or refresh may still be under way to a file that was seen: let it land.
		if err := pause(ctx, time.Second); err != nil {
			return err
		}
		if err := b.restartTokend(ctx, t, st); err != nil || !b.wants("reload") {
			return err
		}
		return b.reload(ctx, st)
	})
}

// restartLoop waits until the loop, which remembers nothing, has got and written
// every token a second time.
func (b *bench) restartLoop(ctx context.Context, st *stage) error {
	if err := st.kill(); err != nil {
		return err
	}
	if err := st.start(); err != nil {
		return err
	}
	var took time.Duration
	err := st.await(ctx, time.Minute, "every file written again", func() bool {
		counts, err := st.admin.Counts(ctx)
		took = time.Since(st.child.Started)
		return err == nil && counts.Requests >= 2*st.tokens
	})
	if err != nil {
		return err
	}
	b.put("restart", st.system.name(), cell{value: took.Seconds(), text: fmt.Sprintf("%.2f s, %d requests", took.Seconds(), st.tokens)})
	return nil
}

// restartTokend has one file in a hundred vanish while the daemon is down. The
// start is over when those are back and the daemon says of every token that it
// is fresh and in its file.
func (b *bench) restartTokend(ctx context.Context, t tokend, st *stage) error {
	if err := st.kill(); err != nil {
		return err
	}
	before, err := st.admin.Counts(ctx)
	if err != nil {
		return err
	}
	gone, err := removeSome(ctx, st)
	if err != nil {
		return err
	}
	if err := st.start(); err != nil {
		return err
	}
	err = st.await(ctx, time.Minute, "every removed file back", func() bool { return st.book.Invalid(time.Now()) == 0 })
	if err != nil {
		return err
	}
	ready := time.Now()
	var last error
	err = st.await(ctx, time.Minute, "every token in its file by tokend's word", func() bool {
		asked := time.Now()
		status, err := t.status(ctx, st)
		if last = err; err != nil || !status.reconciled(st.tokens) {
			return false
		}
		ready = asked
		return true
	})
	if err != nil {
		return errors.Join(err, last)
	}
	after, err := st.admin.Counts(ctx)
	if err != nil {
		return err
	}
	took, requests := ready.Sub(st.child.Started), after.Requests-before.Requests
	b.put("restart", st.system.name(), cell{value: took.Seconds(), text: fmt.Sprintf("%.2f s, %d requests", took.Seconds(), requests), bad: requests != 0})
	b.progress("tokend: restarted in %.2f s with %d requests; %d files put back", took.Seconds(), requests, gone)
	return nil
}

func removeSome(ctx context.Context, st *stage) (int, error) {
	gone := 0
	for i := 0; i < st.tokens; i += 100 {
		if err := os.Remove(filepath.Join(st.sinks(), watchdog.FileName(i))); err != nil {
			return gone, fmt.Errorf("removing a file: %w", err)
		}
		gone++
	}
	for st.book.Invalid(time.Now()) != gone { // until the watchdog has seen it too
		if err := pause(ctx, time.Millisecond); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// reload gives one token another client and tells tokend. Only that token may
// cause a request, and it must.
func (b *bench) reload(ctx context.Context, st *stage) error {
	before, err := st.admin.Counts(ctx)
	if err != nil {
		return err
	}
	changed := st.tokens / 2
	edited := time.Now()
	if err := writeFleet(st, changed); err != nil {
		return err
	}
	if err := st.child.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	err = st.await(ctx, 30*time.Second, "a request of the changed token", func() bool {
		counts, err := st.admin.Counts(ctx)
		return err == nil && counts.Requests > before.Requests
	})
	if err != nil {
		return err
	}
	// Whoever would follow it has time enough to do so.
	if err := st.until(ctx, time.Now().Add(2*time.Second)); err != nil {
		return err
	}
	events, err := st.admin.Events(ctx, before.Requests)
	if err != nil {
		return err
	}
	b.settleReload(events, int32(changed), edited)
	return nil
}

func (b *bench) settleReload(events []tokenserver.Event, changed int32, edited time.Time) {
	took, found := time.Duration(0), false
	for _, e := range events {
		if e.Token == changed && !found {
			took, found = time.Duration(e.Arrived-edited.UnixNano()), true
		}
	}
	b.put("reload", "tokend", cell{
		value: took.Seconds(),
		text:  fmt.Sprintf("%.2f s, %d request(s)", took.Seconds(), len(events)),
		bad:   !found || len(events) != 1,
	})
	b.progress("tokend: reloaded in %.2f s with %d request(s)", took.Seconds(), len(events))
}
