package figures

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPercentileIsAMeasuredValue(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100-i) * time.Millisecond
	}
	for _, tc := range []struct {
		name   string
		values []time.Duration
		p      float64
		want   time.Duration
	}{
		{"none", nil, 99, 0},
		{"one", []time.Duration{7}, 50, 7},
		{"p99 of a hundred leaves one above", hundred, 99, 99 * time.Millisecond},
		{"p100 is the highest", hundred, 100, 100 * time.Millisecond},
		{"p50 of an even count is the lower middle", []time.Duration{4, 1, 3, 2}, 50, 2},
		{"tiny p is the lowest", hundred, 0.001, 1 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Percentile(slices.Clone(tc.values), tc.p); got != tc.want {
				t.Errorf("Percentile(%v) = %v, want %v", tc.p, got, tc.want)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		if got := Median(slices.Clone(tc.values)); got != tc.want {
			t.Errorf("Median(%v) = %v, want %v", tc.values, got, tc.want)
		}
	}
}

func TestPeakCountsFromItsOrigin(t *testing.T) {
	s := int64(time.Second)
	for _, tc := range []struct {
		name     string
		instants []int64
		origin   int64
		want     int
	}{
		{"none", nil, 0, 0},
		{"earlier ones do not count", []int64{1, 2, 3, 10 * s}, 10 * s, 1},
		{"an edge belongs to the later bucket", []int64{s - 1, s, s + 1}, 0, 2},
		{"order does not matter", []int64{2*s + 5, 3, 2 * s, 2*s + 1}, 0, 3},
		{"buckets begin at the origin, not at the second", []int64{s - 1, s, s + 1}, s / 2, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := Peak(tc.instants, tc.origin, time.Second); got != tc.want {
				t.Errorf("Peak = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestCountPutsABoundIntoItsOwnRow(t *testing.T) {
	counts := Count([]time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Hour})
	want := map[int]int{0: 1, 2: 1, 3: 1, len(counts) - 1: 1}
	for row, n := range counts {
		if n != want[row] {
			t.Errorf("row %d holds %d, want %d", row, n, want[row])
		}
	}
}

func TestHistogramLeavesEmptyEndsOut(t *testing.T) {
	got := Histogram([]time.Duration{3 * time.Millisecond, 3 * time.Millisecond, 15 * time.Millisecond})
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "≤ 5ms  66.67%") || !strings.Contains(lines[2], "≤ 20ms  33.33%") {
		t.Errorf("Histogram:\n%s", got)
	}
}

func TestTableLinesUp(t *testing.T) {
	got := Table([]Row{{Figure: "cold start", Loop: "3.9 s", Tokend: "2.0 s", Verdict: Verdict(true)}, {Figure: "≤ wide", Verdict: Verdict(false)}})
	lines := strings.Split(strings.TrimRight(got, "\n"), "\n")
	for _, line := range lines {
		if len([]rune(line)) != len([]rune(lines[0])) || strings.Count(line, "|") != 7 {
			t.Errorf("ragged line %q", line)
		}
	}
	if !strings.Contains(lines[2], "| met ") || !strings.Contains(lines[3], "| – ") || !strings.Contains(lines[3], "| MISSED") {
		t.Errorf("Table:\n%s", got)
	}
}
