package refresher

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// The waits after failures. Each is drawn with full jitter from a window that
// doubles; the reasons stand with the numbers.
const (
	retryFirst = time.Second // a restarting server is back within seconds
	retryLast  = time.Minute // an outage is noticed to be over within a minute
	lateShare  = 6           // of what remains of the lifetime: several attempts fit before expiry
	replyShare = 4           // an attempt may take this part of what remains, so that a hanging server costs one attempt, not the token
	replyLeast = 500 * time.Millisecond

	// A refused login may count towards locking an account; common policies
	// lock after five within a quarter of an hour.
	refusedFirst = time.Minute
	refusedLast  = time.Hour

	// Only a change of the configuration mends these, and that wakes the token.
	misconfiguredFirst = 30 * time.Second
	misconfiguredLast  = 30 * time.Minute

	// A replay settles an attempt whose answer was lost.
	replayFirst = time.Second
	replaySpan  = time.Second

	maxRetryAfter = time.Hour
)

// situation is what a retry depends on.
type situation struct {
	now         time.Time
	expires     time.Time // zero: no valid access token
	failures    int       // in a row, this one included
	minInterval time.Duration
	u           float64 // the draw, in [0, 1)
}

// remaining is what is left of the lifetime; zero when nothing is.
func (s situation) remaining() time.Duration { return max(0, s.expires.Sub(s.now)) }

// retryIn is the wait until the next attempt after f.
func retryIn(f *token.Failure, login bool, s situation) time.Duration {
	switch {
	case f.Class == token.Misconfigured:
		return window(misconfiguredFirst, misconfiguredLast, s)
	case f.Class == token.Rejected && login:
		return window(refusedFirst, refusedLast, s)
	case f.Class == token.Transient:
		return s.patient(f)
	}
	wait := s.backoff()
	if f.RetryAfter > 0 {
		wait = max(wait, s.patient(f))
	}
	if f.Status != 0 { // an answer: hot-loop immunity
		wait = max(wait, s.minInterval)
	}
	return wait
}

// backoff is exponential with full jitter. While the access token lives the
// window is bounded by a part of what remains, so that several attempts fit.
func (s situation) backoff() time.Duration {
	last := retryLast
	if rest := s.remaining(); rest > 0 {
		last = min(last, max(retryFirst, rest/lateShare))
	}
	wait := scale(doubled(retryFirst, last, s.failures-1), s.u)
	return max(wait, retryFirst/10)
}

// patient obeys Retry-After, capped, with some jitter on top, so that those who
// were sent away together don't come back together. When that is only after the
// token's expiry it wakes once before: a server that says an hour may mean less.
func (s situation) patient(f *token.Failure) time.Duration {
	wait := min(f.RetryAfter, maxRetryAfter)
	if wait <= 0 {
		wait = s.backoff()
	}
	wait = max(wait, s.minInterval)
	wait += scale(min(wait/10, 5*time.Second), s.u)
	rest := s.remaining()
	if s.failures == 1 && rest > 0 && wait >= rest {
		before := rest - min(rest/4, 10*time.Second)
		return max(before, s.minInterval)
	}
	return wait
}

// window is a doubling wait for what time alone will hardly mend: between half
// of it and the whole.
func window(first, last time.Duration, s situation) time.Duration {
	d := doubled(first, last, s.failures-1)
	return max(d/2+scale(d/2, s.u), s.minInterval)
}

func doubled(first, last time.Duration, times int) time.Duration {
	d := first
	for range times {
		if d >= last {
			break
		}
		d *= 2
	}
	return min(d, last)
}

// attemptTimeout cuts the provider's timeout to a part of what remains of the
// lifetime, and for a token that has expired to the same part of its lifetime.
func attemptTimeout(timeout time.Duration, t token.Token, now time.Time) time.Duration {
	rest := t.ExpiresAt.Sub(now)
	if rest <= 0 {
		rest = t.Lifetime()
	}
	if t.AccessToken.IsEmpty() || rest <= 0 {
		return timeout
	}
	return min(timeout, max(rest/replyShare, replyLeast))
}
