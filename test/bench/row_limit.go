package main

import (
	"context"
	"fmt"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

// limitedRate is how many requests a second the server allows: 500 for 10,000
// tokens, and in proportion, so that a cold start needs many seconds' worth.
func (b *bench) limitedRate() int {
	if b.quick {
		return max(b.tokens/2, 1)
	}
	return max(b.tokens/20, 1)
}

// limit measures a cold start against a server that limits the rate and says so
// with Retry-After; tokend also when it has been told of the limit.
func (b *bench) limit(ctx context.Context, sys system) error {
	if err := b.limitOn(ctx, b.whole(sys), "limit"); err != nil || sys.name() != "tokend" {
		return err
	}
	st := b.whole(sys)
	st.rate = b.limitedRate() * 9 / 10
	return b.limitOn(ctx, st, "limit, told")
}

func (b *bench) limitOn(ctx context.Context, st *stage, row string) error {
	return b.on(ctx, st, b.dir, func() error {
		mode := tokenserver.Mode{Name: tokenserver.ModeLimited, Rate: b.limitedRate()}
		if err := st.admin.SetMode(ctx, mode); err != nil {
			return err
		}
		took, err := st.cold(ctx)
		if err != nil {
			return err
		}
		counts, err := st.admin.Counts(ctx)
		if err != nil {
			return err
		}
		attempts := float64(counts.Requests) / float64(max(counts.Requests-counts.Limited, 1))
		b.put(row, st.system.name(), cell{value: attempts, text: fmt.Sprintf("%.2f (in %.1f s)", attempts, took.Seconds())})
		b.progress("%s: %.2f attempts a token under %d/s", st.system.name(), attempts, mode.Rate)
		return nil
	})
}
