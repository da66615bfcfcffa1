package remotebench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

const (
	places   = 1000
	inFlight = 32               // writes at a time, of tokend and of the bare client
	lifetime = 20 * time.Second // of the tokens: 67 refreshes a second at three quarters of it
	rounds   = 3                // of cold starts, taken in turns
	content  = 64               // bytes of an access token
)

// destination is a kind of place, with the means to write it barely and to count.
type destination struct {
	name string
	// fresh makes room for a run: what tokend's config says of it, and how the
	// bare client writes place i for the nth time.
	fresh func(b *testing.B) room
}

type room struct {
	blocks string // of tokend's config, outside of tokens
	sink   string // within a token; token.key is the place's name
	write  func(ctx context.Context, i, n int) error
	// requests counts all requests so far, and those of them that write.
	requests func(b *testing.B) (all, writes int)
}

func BenchmarkSecrets(b *testing.B) { measure(b, secrets(b)) }
func BenchmarkVaultKV(b *testing.B) { measure(b, vaultKV(b)) }

func measure(b *testing.B, d destination) {
	for b.Loop() {
		var bare, ours []float64
		for range rounds {
			r := d.fresh(b)
			bare = append(bare, fillBarely(b, r).Seconds())
			r = d.fresh(b)
			t := start(b, r)
			ours = append(ours, t.cold.Seconds())
			t.stop(b)
		}
		report(b, d.name+" cold start", "s", median(bare), median(ours), "all places filled; median of three")

		r := d.fresh(b)
		fillBarely(b, r)
		paced := paceBarely(b, r)
		r = d.fresh(b)
		t := start(b, r)
		steady := t.watch(b, r)
		t.stop(b)
		report(b, d.name+" steady write", "ms", millis(paced), millis(steady.took), "median of one write at 67 a second")
		b.Logf("%s: %d requests for %d refreshes, %d of them writes", d.name, steady.requests, steady.refreshes, steady.writes)
		b.ReportMetric(float64(steady.requests)/float64(steady.refreshes), "requests/refresh")
		if steady.requests != steady.refreshes || steady.writes != steady.refreshes {
			b.Errorf("%s: %d requests and %d writes for %d refreshes, want one each", d.name, steady.requests, steady.writes, steady.refreshes)
		}
	}
	b.ReportMetric(0, "ns/op")
}

func report(b *testing.B, what, unit string, bare, ours float64, note string) {
	b.Logf("%-24s bare client %.2f %s, tokend %.2f %s = %.2fx (%s)", what, bare, unit, ours, unit, ours/bare, note)
	b.ReportMetric(ours/bare, map[string]string{"s": "cold-ratio", "ms": "steady-ratio"}[unit])
}

// fillBarely writes every place once.
func fillBarely(b *testing.B, r room) time.Duration {
	began := time.Now()
	next := make(chan int)
	var workers sync.WaitGroup
	for range inFlight {
		workers.Go(func() {
			for i := range next {
				if err := r.write(b.Context(), i, 1); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range places {
		next <- i
	}
	close(next)
	workers.Wait()
	return time.Since(began)
}

// paceBarely writes at the rate at which tokend refreshes, for one lifetime, and
// returns the median time of a write.
func paceBarely(b *testing.B, r room) time.Duration {
	var mu sync.Mutex
	var took []time.Duration
	var writes sync.WaitGroup
	interval := lifetime * 3 / 4 / places
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range places {
		<-tick.C
		writes.Go(func() {
			began := time.Now()
			if err := r.write(b.Context(), i, 2); err != nil {
				b.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(began))
		})
	}
	writes.Wait()
	return median(took)
}

func median[T float64 | time.Duration](of []T) T {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func placeName(i int) string { return fmt.Sprintf("place-%04d", i) }
