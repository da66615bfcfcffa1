// Package figures holds the arithmetic of the benchmark: percentiles, buckets,
// histograms, and the table that the figures end in. It measures nothing.
package figures

import (
	"math"
	"slices"
	"time"
)

// Percentile returns the p-th percentile (0 < p ≤ 100) of values by the
// nearest-rank method, so that the answer is always a value that was measured.
// It sorts values in place and returns 0 for none.
func Percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	rank := int(math.Ceil(p / 100 * float64(len(values))))
	return values[min(max(rank, 1), len(values))-1]
}

// Median returns the middle of values, the mean of the middle two when their
// count is even, and 0 for none. It sorts values in place.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	half := len(values) / 2
	if len(values)%2 == 1 {
		return values[half]
	}
	return (values[half-1] + values[half]) / 2
}
