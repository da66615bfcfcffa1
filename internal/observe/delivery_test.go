package observe_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/refresher"
)

func delivered(d *observe.Delivery, times ...time.Duration) {
	for _, t := range times {
		d.Observe(refresher.Event{Kind: refresher.SinkWritten, SinceAnswer: t})
	}
}

// exact is the q-quantile by rank, as the definition has it.
func exact(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func TestQuantilesAreWithinFivePercentOfTheExactOnes(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func() time.Duration{
		"even":      func() time.Duration { return 50*time.Microsecond + time.Duration(random.Int64N(int64(time.Second))) },
		"lognormal": func() time.Duration { return time.Duration(2e6 * math.Exp(random.NormFloat64())) },
		"heavy tail": func() time.Duration {
			return time.Duration(float64(time.Millisecond) / math.Pow(1-random.Float64(), 1))
		},
		"a disk and a network": func() time.Duration {
			return []time.Duration{300 * time.Microsecond, 80 * time.Millisecond}[random.IntN(2)] + time.Duration(random.IntN(20_000))
		},
		"all the same": func() time.Duration { return 3 * time.Millisecond },
	} {
		var d observe.Delivery
		times := make([]time.Duration, 10_000)
		for i := range times {
			times[i] = max(20*time.Microsecond, min(draw(), 100*time.Second))
		}
		delivered(&d, times...)
		slices.Sort(times)
		qs := []float64{0.001, 0.25, 0.5, 0.9, 0.99, 0.999, 1}
		count, got := d.Quantiles(qs...)
		if count != uint64(len(times)) {
			t.Errorf("%s: %d deliveries", name, count)
		}
		for i, q := range qs {
			want := exact(times, q)
			if off := math.Abs(float64(got[i])/float64(want) - 1); off > 0.05 {
				t.Errorf("%s: the %g-quantile is %v, exactly %v: off by %.1f %%", name, q, got[i], want, off*100)
			}
		}
	}
}

func TestQuantilesOfFewDeliveries(t *testing.T) {
	t.Parallel()
	var d observe.Delivery
	if count, q := d.Quantiles(0.5, 0.99); count != 0 || q[0] != 0 || q[1] != 0 {
		t.Errorf("of none: %d, %v", count, q)
	}
	delivered(&d, time.Millisecond)
	if count, q := d.Quantiles(0, 0.5, 1); count != 1 || q[0] != q[2] || q[1].Round(100*time.Microsecond) != time.Millisecond {
		t.Errorf("of one: %d, %v", count, q)
	}
	if _, q := d.Quantiles(); len(q) != 0 {
		t.Errorf("nothing was asked for: %v", q)
	}
}

func TestDeliveriesOutOfRangeCountAtTheEnds(t *testing.T) {
	t.Parallel()
	var d observe.Delivery
	delivered(&d, time.Nanosecond, 10*time.Microsecond, 24*time.Hour, math.MaxInt64)
	count, q := d.Quantiles(0.5, 1)
	if count != 4 || q[0] > 10*time.Microsecond || q[1] < time.Minute {
		t.Errorf("%d, %v", count, q)
	}
}

func TestOnlyFirstWritesOfAnAnswerCount(t *testing.T) {
	t.Parallel()
	var d observe.Delivery
	for _, kind := range kinds(t) {
		if kind != refresher.SinkWritten {
			d.Observe(refresher.Event{Kind: kind, SinceAnswer: time.Second})
		}
	}
	delivered(&d, 0, -time.Second) // a repair, and a clock that was set back
	if count, _ := d.Quantiles(); count != 0 {
		t.Errorf("%d were counted", count)
	}
}

func TestDeliveriesAreCountedFromManyGoroutines(t *testing.T) {
	t.Parallel()
	var d observe.Delivery
	var writers, reader sync.WaitGroup
	done := make(chan struct{})
	reader.Go(func() {
		var before uint64
		for {
			count, q := d.Quantiles(0.5)
			if count < before || count > 0 && q[0] == 0 {
				t.Errorf("%d after %d deliveries, median %v", count, before, q[0])
				return
			}
			before = count
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 8 {
		writers.Go(func() {
			for j := range 1000 {
				delivered(&d, time.Duration(i*1000+j+1)*time.Microsecond)
			}
		})
	}
	writers.Wait()
	close(done)
	reader.Wait()
	if count, _ := d.Quantiles(); count != 8000 {
		t.Errorf("%d of 8000 were counted", count)
	}
}
