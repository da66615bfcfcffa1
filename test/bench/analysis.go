package main

import (
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
	"github.com/tokend-project/tokend/test/bench/internal/watchdog"
)

// plans is what a system said at one moment about its next attempts.
type plans struct {
	asked, told int64   // when it was asked, and when the answer had come
	next        []int64 // by token; 0 when it named none
}

// statedLateness compares every later request of a token with the newest plan
// that the system told after the request before it and ahead of this one.
// Positive is late. Requests that no plan was heard of are left out.
func statedLateness(events []tokenserver.Event, heard []plans) []time.Duration {
	last := make(map[int32]int64)
	var late []time.Duration
	for _, e := range events {
		previous, again := last[e.Token]
		last[e.Token] = e.Answered
		if !again {
			continue
		}
		if plan := newest(heard, e.Token, previous, e.Arrived); plan != 0 {
			late = append(late, time.Duration(e.Arrived-plan))
		}
	}
	return late
}

func newest(heard []plans, token int32, after, before int64) int64 {
	// What is told just after an answer may not know of it yet.
	const settling = int64(100 * time.Millisecond)
	plan := int64(0)
	for _, p := range heard {
		if p.asked > after+settling && p.told < before && int(token) < len(p.next) {
			plan = p.next[token]
		}
	}
	return plan
}

// reckonedLateness compares every later request of a token with the plan of the
// plain loop: so much of the lifetime after the answer before.
func reckonedLateness(events []tokenserver.Event, share float64) []time.Duration {
	planned := make(map[int32]int64)
	var late []time.Duration
	for _, e := range events {
		if plan, again := planned[e.Token]; again {
			late = append(late, time.Duration(e.Arrived-plan))
		}
		if e.Outcome == tokenserver.Issued {
			planned[e.Token] = e.Answered + int64(share*float64(e.Expires-e.Answered))
		}
	}
	return late
}

// deliveries are the times from the server's answer to the file, for the answers
// between from and to.
func deliveries(events []tokenserver.Event, placed map[watchdog.Key]int64, from, to time.Time) []time.Duration {
	var took []time.Duration
	for _, e := range events {
		if e.Outcome != tokenserver.Issued || e.Answered < from.UnixNano() || e.Answered >= to.UnixNano() {
			continue
		}
		if at, ok := placed[watchdog.Key{Token: e.Token, Serial: e.Serial}]; ok {
			took = append(took, time.Duration(at-e.Answered))
		}
	}
	return took
}

// wave is the requests between two instants: how long they stretch, how many
// there are, and the most in any second.
type wave struct {
	span  time.Duration
	count int
	peak  int
}

// evenly is the peak as a multiple of what the same requests make when they are
// spread evenly over the same span.
func (w wave) evenly() float64 {
	if w.count == 0 || w.span <= 0 {
		return 0
	}
	return float64(w.peak) * w.span.Seconds() / float64(w.count)
}

// firstWave is what follows a cold start that ended at whole, up to the moment
// at which every token has been refreshed once.
func firstWave(events []tokenserver.Event, whole time.Time) wave {
	var first, last int64
	for _, e := range events {
		if e.Outcome == tokenserver.Issued && e.Serial == 2 {
			if first == 0 {
				first = e.Arrived
			}
			last = max(last, e.Arrived)
		}
	}
	w := waveBetween(events, max(first, whole.UnixNano()), last+1)
	w.span = time.Duration(last - first)
	return w
}

func waveBetween(events []tokenserver.Event, from, to int64) wave {
	var instants []int64
	for _, e := range events {
		if e.Arrived >= from && e.Arrived < to {
			instants = append(instants, e.Arrived)
		}
	}
	return wave{span: time.Duration(to - from), count: len(instants), peak: figures.Peak(instants, from, time.Second)}
}

// issuedBetween counts access tokens.
func issuedBetween(events []tokenserver.Event, from, to time.Time) int {
	n := 0
	for _, e := range events {
		if e.Outcome == tokenserver.Issued && e.Answered >= from.UnixNano() && e.Answered < to.UnixNano() {
			n++
		}
	}
	return n
}
