package observe

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
)

// Delivery counts how long it took from reading a server's answer to a sink
// holding it. On servers that kill the previous access token at a refresh this
// is how long consumers are without a valid one. The zero Delivery is ready;
// it is safe for concurrent use.
type Delivery struct {
	buckets [deliveryBuckets]atomic.Uint64
}

// Buckets grow by a tenth from 10 µs on, so that a quantile is known to within
// five percent; the last one is open.
const (
	deliveryBuckets = 176
	deliveryFirst   = 10 * time.Microsecond
	deliveryGrowth  = 1.1
)

// Observe implements refresher.Observer.
func (d *Delivery) Observe(e refresher.Event) {
	if e.Kind != refresher.SinkWritten || e.SinceAnswer <= 0 {
		return
	}
	i := 0
	if e.SinceAnswer > deliveryFirst {
		i = int(math.Ceil(math.Log(float64(e.SinceAnswer)/float64(deliveryFirst)) / math.Log(deliveryGrowth)))
	}
	d.buckets[min(i, deliveryBuckets-1)].Add(1)
}

// Quantiles returns how many deliveries there were, and for each q in [0, 1] the
// time within which that share of them was done.
func (d *Delivery) Quantiles(qs ...float64) (count uint64, times []time.Duration) {
	var counts [deliveryBuckets]uint64
	for i := range d.buckets {
		counts[i] = d.buckets[i].Load()
		count += counts[i]
	}
	times = make([]time.Duration, len(qs))
	for j, q := range qs {
		rank, seen := uint64(math.Ceil(q*float64(count))), uint64(0)
		for i, n := range counts {
			seen += n
			if n > 0 && seen >= rank {
				times[j] = time.Duration(float64(deliveryFirst) * math.Pow(deliveryGrowth, float64(i)-0.5))
				break
			}
		}
	}
	return count, times
}
