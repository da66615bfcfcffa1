package vault

import (
	"errors"
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Second
	longPause  = 15 * time.Second // a server that is back is used again within half a minute
	slowPause  = 5 * time.Minute
)

// pause is the time between two tries that fail, growing, with jitter.
type pause struct {
	tries int
	until time.Time
	why   error
	file  stamp // of the credential that failed: another one needs no pause
}

func (p *pause) reset() { *p = pause{} }

// extend starts the next pause. What the server asked for is obeyed.
func (p *pause) extend(now time.Time, why error, wait time.Duration, file stamp) {
	wait = wait/2 + rand.N(wait/2+1)
	if e, ok := errors.AsType[*Error](why); ok {
		wait = max(wait, e.after)
	}
	*p = pause{tries: p.tries + 1, until: now.Add(wait), why: why, file: file}
}

// left is nil when no pause lasts, or the credential is another one.
func (p *pause) left(now time.Time, file stamp) error {
	left := p.until.Sub(now)
	if left <= 0 || !p.file.same(file) {
		return nil
	}
	return &waiting{left: left, err: p.why}
}

// growing is the pause after that many failures.
func growing(tries int) time.Duration { return min(firstPause<<min(tries, 10), longPause) }

// growingSlowly is the pause after a credential was refused. Five wrong ones within
// a quarter of an hour lock an AppRole for as long (Vault's user_lockout).
func growingSlowly(tries int) time.Duration { return min(2*firstPause<<min(2*tries, 20), slowPause) }

// waiting is the error of what came while a pause lasted.
type waiting struct {
	left time.Duration
	err  error // that of the last try
}

func (w *waiting) Error() string {
	return w.err.Error() + "; next try in " + w.left.Round(100*time.Millisecond).String()
}

func (w *waiting) Unwrap() error { return w.err }
