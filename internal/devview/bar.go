package devview

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Bar draws how much is left, from 0 to 1, as a bar of exactly width columns
// without colour: in eighths of a column where the style has Unicode, else in
// "#" and "-". A fraction outside the range counts as its nearer end.
func Bar(fraction float64, width int, s Style) string {
	fraction = min(max(fraction, 0), 1)
	if math.IsNaN(fraction) {
		fraction = 0
	}
	if !s.Unicode {
		full := int(math.Round(fraction * float64(width)))
		return strings.Repeat("#", full) + strings.Repeat("-", width-full)
	}
	eighths := int(math.Round(fraction * float64(width) * 8))
	bar := strings.Repeat("█", eighths/8)
	used := eighths / 8
	if part := eighths % 8; part > 0 {
		bar += string([]rune(" ▏▎▍▌▋▊▉")[part])
		used++
	}
	return bar + strings.Repeat(" ", width-used)
}

// Left is the fraction of a lifetime that remains at now, from 0 to 1.
func Left(now, issued, expires time.Time) float64 {
	life := expires.Sub(issued)
	if life <= 0 {
		return 0
	}
	return min(max(float64(expires.Sub(now))/float64(life), 0), 1)
}

// Short writes a duration in at most six columns with its one or two largest
// units: "850ms", "7s", "4m05s", "3h20m", "12d". A negative one has a sign.
func Short(d time.Duration) string {
	if d < 0 {
		return "-" + Short(-d)
	}
	switch {
	case d == 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d/time.Second))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d/time.Minute), int(d%time.Minute/time.Second))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d/time.Hour), int(d%time.Hour/time.Minute))
	default:
		return fmt.Sprintf("%dd", int(d/(24*time.Hour)))
	}
}
