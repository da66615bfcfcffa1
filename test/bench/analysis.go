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

// wave is how a provider lives through the refreshes of tokens that were all born
// together.
type wave struct {
	window time.Duration // from the first to the last of the first refreshes
	first  int           // the most requests in any second of the window
	later  int           // the same from its end on
}

// waveOf finds the window in the events after a cold start: from the first to the
// last answer that gave a token its second access token.
func waveOf(events []tokenserver.Event) wave {
	var from, to int64
	for _, e := range events {
		if e.Outcome == tokenserver.Issued && e.Serial == 2 {
			if from == 0 || e.Arrived < from {
				from = e.Arrived
			}
			to = max(to, e.Arrived)
		}
	}
	var within, later []int64
	for _, e := range events {
		switch {
		case e.Arrived > to:
			later = append(later, e.Arrived)
		case e.Arrived >= from:
			within = append(within, e.Arrived)
		}
	}
	return wave{
		window: time.Duration(to - from),
		first:  figures.Peak(within, from, time.Second),
		later:  figures.Peak(later, to, time.Second),
	}
}

// evenly is a peak as a multiple of what the tokens make in a second when they
// are spread evenly over the window.
func (w wave) evenly(peak, tokens int) float64 {
	return float64(peak) * max(w.window, time.Second).Seconds() / float64(tokens)
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
