package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

// coldRuns is how many cold starts the median is taken of, at least.
const coldRuns = 3

// coldStart measures one more cold start on the disk and one on tmpfs, unless there
// have been enough: the other runs began with cold starts too.
func (b *bench) coldStart(ctx context.Context, sys system) error {
	for _, place := range []struct{ row, base string }{{"cold", b.dir}, {"cold on tmpfs", b.tmpfs}} {
		if place.base == "" || len(b.colds[place.row+"/"+sys.name()]) >= coldRuns {
			continue
		}
		st := b.whole(sys)
		if err := b.on(ctx, st, place.base, func() error { return b.coldOn(ctx, st, place.row) }); err != nil {
			return err
		}
	}
	return nil
}

// latency measures a cold start with a server that answers after 50 ms.
func (b *bench) latency(ctx context.Context, sys system) error {
	st := b.whole(sys)
	return b.on(ctx, st, b.dir, func() error {
		if err := st.admin.SetMode(ctx, tokenserver.Mode{Name: tokenserver.ModeOK, Latency: 50 * time.Millisecond}); err != nil {
			return err
		}
		return b.coldOn(ctx, st, "latency")
	})
}

// settleColds turns the cold starts into cells.
func (b *bench) settleColds() {
	for _, row := range []string{"cold", "cold on tmpfs", "latency"} {
		for _, sys := range b.systems {
			runs := b.colds[row+"/"+sys.name()]
			if len(runs) == 0 {
				continue
			}
			middle := figures.Median(runs)
			text := fmt.Sprintf("%.2f s", middle)
			if len(runs) > 1 { // Median has sorted them
				text += fmt.Sprintf(" (%.1f–%.1f, %d runs)", runs[0], runs[len(runs)-1], len(runs))
			}
			b.put(row, sys.name(), cell{value: middle, text: text})
		}
	}
}
