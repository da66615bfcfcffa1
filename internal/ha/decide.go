package ha

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// view is what a decision depends on.
type view struct {
	me      string
	members []string // that are alive, me included unless leaving
	shards  []shardView
	mayTake bool          // what is free
	leaving bool          // everything is to be given up
	rescue  time.Duration // after which a free Lease goes to whoever comes first
}

// shardView is one shard's Lease.
type shardView struct {
	holder  string        // "": free, or run out
	held    bool          // this process holds it
	coming  bool          // this process is about to hold it: a request is under way
	going   bool          // this process holds it, and is giving it up
	kept    bool          // this process has taken it, or is about to, because nobody else did
	freeFor time.Duration // how long it has been free
}

// decide returns the shards to take and those to give up.
func decide(v view) (take, give []int) {
	share := shareOf(v)
	mine, kept := 0, 0
	for i, s := range v.shards {
		switch {
		case s.going:
		case (s.held || s.coming) && s.kept:
			kept++
		case s.held || s.coming:
			mine++
		case s.holder == v.me && !v.leaving:
			// It was ours before it ran out, and nobody has taken it.
			take = append(take, i)
			mine++
		}
	}
	for n := range v.shards {
		i := (n + start(v)) % len(v.shards)
		s := v.shards[i]
		switch {
		case s.holder != "" || s.held || s.coming || !v.mayTake || v.leaving:
		case mine+kept < share:
			take = append(take, i)
			mine++
		case s.freeFor >= v.rescue:
			take = append(take, i)
			kept++
		}
	}
	for i, s := range slices.Backward(v.shards) {
		if s.held && !s.going && (v.leaving || mine > share && !s.kept) {
			give = append(give, i)
			mine--
		}
	}
	return take, give
}

// start spreads where the replicas begin to look for what is free.
func start(v view) int { return ShardOf(v.me, len(v.shards)) }

// shareOf is how many shards this replica is to hold.
func shareOf(v view) int {
	if v.leaving || len(v.members) == 0 {
		return 0
	}
	holds := make(map[string]int, len(v.members))
	for _, m := range v.members {
		holds[m] = 0
	}
	for _, s := range v.shards {
		if _, ok := holds[s.holder]; ok {
			holds[s.holder]++
		}
	}
	ranked := slices.SortedFunc(maps.Keys(holds), func(a, b string) int {
		return cmp.Or(cmp.Compare(holds[b], holds[a]), cmp.Compare(a, b))
	})
	share := len(v.shards) / len(ranked)
	if slices.Index(ranked, v.me) < len(v.shards)%len(ranked) {
		share++
	}
	return share
}
