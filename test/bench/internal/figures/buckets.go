package figures

import (
	"fmt"
	"strings"
	"time"
)

// Peak returns the highest number of instants (nanoseconds, in any order) that
// fall into one bucket of the given width. Buckets begin at origin; instants
// before it do not count.
func Peak(instants []int64, origin int64, width time.Duration) int {
	counts := make(map[int64]int)
	peak := 0
	for _, at := range instants {
		if at < origin {
			continue
		}
		bucket := (at - origin) / int64(width)
		counts[bucket]++
		peak = max(peak, counts[bucket])
	}
	return peak
}

// histogramBounds are the upper edges of [Histogram]'s rows.
var histogramBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond,
	1 * time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 500 * time.Millisecond, 2 * time.Second,
}

// Count sorts values into the histogram's rows; the last row holds what is
// longer than every bound.
func Count(values []time.Duration) []int {
	counts := make([]int, len(histogramBounds)+1)
	for _, v := range values {
		row := 0
		for row < len(histogramBounds) && v > histogramBounds[row] {
			row++
		}
		counts[row]++
	}
	return counts
}

// Histogram renders values as lines of text: the bound, the share, a bar. Empty
// rows at both ends are left out.
func Histogram(values []time.Duration) string {
	counts := Count(values)
	first, last := 0, len(counts)-1
	for first < last && counts[first] == 0 {
		first++
	}
	for last > first && counts[last] == 0 {
		last--
	}
	var b strings.Builder
	for row := first; row <= last; row++ {
		share := float64(counts[row]) / float64(max(len(values), 1))
		fmt.Fprintf(&b, "%9s %6.2f%% %s\n", boundLabel(row), 100*share, strings.Repeat("#", int(share*50+0.5)))
	}
	return b.String()
}

func boundLabel(row int) string {
	if row == len(histogramBounds) {
		return "> " + histogramBounds[row-1].String()
	}
	return "≤ " + histogramBounds[row].String()
}
