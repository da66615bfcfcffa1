package main

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"time"
)

// A fleet's refreshes are short pieces of work with waits between them. On one
// processor most of them find the thread awake that the piece before was on; on
// several, Go wakes and parks threads for each, which costs more than there is to
// gain until there is much to do.
const (
	lookEvery = time.Second
	muchLoad  = 0.7 // processors' worth of work from which on all are used
	calmLoad  = 0.4 // and below which one is enough,
	calmLooks = 5   // when it was so at each of these looks in a row
)

// processors decides how many processors run Go code at a time: all of them at a
// start and whenever there is much to do, and otherwise one.
type processors struct {
	one  bool
	calm int // looks in a row
}

// decide takes in the load since the last look, in processors, and reports whether
// one becomes all, or all become one.
func (p *processors) decide(load float64) (changed bool) {
	if p.calm++; load >= calmLoad {
		p.calm = 0
	}
	was := p.one
	p.one = load < muchLoad && (p.one || p.calm >= calmLooks)
	return p.one != was
}

// run decides until ctx ends, unless GOMAXPROCS has its way.
func (p *processors) run(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for spent, at := used(), time.Now(); ; {
		select {
		case <-ctx.Done():
			runtime.SetDefaultGOMAXPROCS()
			return
		case <-tick.C:
		}
		spentNow, now := used(), time.Now()
		changed := p.decide(float64(spentNow-spent) / float64(now.Sub(at)))
		spent, at = spentNow, now
		switch {
		case !changed:
		case p.one:
			runtime.GOMAXPROCS(1)
		default:
			runtime.SetDefaultGOMAXPROCS() // follows the cgroup's limit from then on
		}
	}
}

// used is the time that processors have spent on this process.
func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot fail for this process; the load is then taken for none
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
