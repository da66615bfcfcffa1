package refresher

import (
	"hash/fnv"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tokend-project/tokend/internal/token"
)

// Schedule says when a token is refreshed.
type Schedule struct {
	RefreshAt   float64       // fraction of the lifetime, in (0, 1)
	Jitter      float64       // fraction of the lifetime by which a refresh may come earlier
	Lead        time.Duration // and at least this long before expiry
	MinInterval time.Duration // floor between two requests for one token
	Cron        []cron.Schedule
	LoginCron   []cron.Schedule
}

// refreshAt is the instant at which t should be refreshed. u in [0, 1) chooses
// within the jitter.
//
// A lead that would leave less than half of the lifetime is cut to that half: a
// lifetime at or below the lead must give neither a negative wait nor a refresh
// right after the last. A cold token was probably born together with many
// others, so its refresh is drawn from the whole second half of the wait, which
// is what pulls the others of its wave apart from the first refresh on. What the
// slowest sink takes to reach its readers, propagation, adds to the lead.
func (s *Schedule) refreshAt(t token.Token, cold bool, propagation time.Duration, u float64) time.Time {
	lifetime := t.Lifetime()
	if lifetime <= 0 {
		return t.IssuedAt
	}
	lead := min(s.Lead+propagation, lifetime/2)
	wait := min(scale(lifetime, s.RefreshAt), lifetime-lead)
	spread := min(scale(lifetime, s.Jitter), wait/2)
	if cold {
		spread = wait / 2
	}
	return t.IssuedAt.Add(wait - scale(spread, u))
}

// nextCron is the first instant after now that any of the schedules names, and
// zero when there is none.
func nextCron(schedules []cron.Schedule, now time.Time) time.Time {
	var first time.Time
	for _, s := range schedules {
		if at := s.Next(now); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// phase draws a number in [0, 1) that depends on the token and its generation
// alone, so that a restart plans the same instant again.
func phase(name string, generation uint64) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	x := h.Sum64() + generation*0x9e3779b97f4a7c15
	// The finaliser of SplitMix64: FNV's high bits hardly depend on the last
	// bytes of a name, and fleets differ in nothing else.
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}

func scale(d time.Duration, f float64) time.Duration { return time.Duration(float64(d) * f) }

// earliest returns the first of the instants that are not zero.
func earliest(instants ...time.Time) time.Time {
	var first time.Time
	for _, t := range instants {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
