package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

// outages measures every kind of outage, each from a fresh start.
func (b *bench) outages(ctx context.Context, sys system) error {
	var errs []error
	for _, mode := range b.modes {
		st := b.whole(sys)
		err := b.on(ctx, st, b.dir, func() error { return b.outageOf(ctx, st, mode) })
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", mode, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// outageOf has the server fail just before the plain loop refreshes what it got
// first, when what is left of every token is longer than the outage, and counts
// what is lost from then on for a lifetime.
func (b *bench) outageOf(ctx context.Context, st *stage, mode string) error {
	if err := b.coldOn(ctx, st, "cold"); err != nil {
		return err
	}
	events, err := st.admin.Events(ctx, 0)
	if err != nil {
		return err
	}
	_, whole := st.book.Held()
	begin := time.Unix(0, events[0].Arrived).Add(b.lifetime*3/4 - b.lifetime/60)
	for _, change := range []struct {
		at   time.Time
		mode string
	}{{begin, mode}, {begin.Add(b.outage()), tokenserver.ModeOK}} {
		if err := st.until(ctx, change.at); err != nil {
			return err
		}
		if err := st.admin.SetMode(ctx, tokenserver.Mode{Name: change.mode}); err != nil {
			return err
		}
	}
	end := begin.Add(b.lifetime)
	seen, err := b.recovered(ctx, st, whole.Add(b.lifetime+time.Second), end)
	if err != nil {
		return err
	}
	return b.settleOutage(ctx, st, mode, begin, earlier(seen, end), end)
}

// recovered waits until all that was got before the outage must have been
// replaced and every file is valid, or until the window ends. What the window
// still holds of time is then not worth the wait: nothing is wrong any more.
func (b *bench) recovered(ctx context.Context, st *stage, earliest, end time.Time) (time.Time, error) {
	err := st.await(ctx, 2*b.lifetime, "an end of the outage's window", func() bool {
		now := time.Now()
		return now.After(end) || now.After(earliest) && st.book.Invalid(now) == 0
	})
	return time.Now(), err
}

func (b *bench) settleOutage(ctx context.Context, st *stage, mode string, begin, seen, end time.Time) error {
	lost := st.book.Lost(begin, seen)
	share := lost.Seconds() / (float64(st.tokens) * end.Sub(begin).Seconds())
	b.put("outage: "+mode, st.system.name(), cell{value: lost.Seconds(), text: fmt.Sprintf("%.1f (%.2f%%)", lost.Seconds(), 100*share)})
	events, err := st.admin.Events(ctx, 0)
	if err != nil {
		return err
	}
	over := begin.Add(b.outage())
	var during, after []int64
	for _, e := range events {
		switch {
		case e.Arrived >= over.UnixNano():
			after = append(after, e.Arrived)
		case e.Arrived >= begin.UnixNano():
			during = append(during, e.Arrived)
		}
	}
	b.note("outage (%s) of %s: %d requests while it lasted; busiest second afterwards: %d requests; %d files invalid at the end.",
		mode, st.system.name(), len(during), figures.Peak(after, over.UnixNano(), time.Second), st.book.Invalid(seen))
	b.progress("%s: outage (%s): %.1f token-seconds lost", st.system.name(), mode, lost.Seconds())
	return nil
}
