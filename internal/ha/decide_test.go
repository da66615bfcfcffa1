package ha

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const lease = 15 * time.Second

// of makes a view of member a: each word of shards is a holder, "-" is free;
// "a" is held by this replica, "a*" is its own that it does not hold, "a>" is
// being taken, "a!" being given up, "a+" was taken because nobody else did, "-+" has been free for
// long.
func of(members, shards []string) view {
	v := view{me: "a", members: members, mayTake: true, rescue: lease}
	for _, s := range shards {
		name := s[:1]
		sv := shardView{holder: name, held: name == "a"}
		if name == "-" {
			sv.holder = ""
		}
		switch s[1:] {
		case "*":
			sv.held = false
		case ">":
			sv.held, sv.coming = false, true
		case "!":
			sv.going = true
		case "+":
			sv.kept, sv.freeFor = sv.held, lease
		}
		v.shards = append(v.shards, sv)
	}
	return v
}

func TestDecide(t *testing.T) {
	t.Parallel()
	ab, abc := []string{"a", "b"}, []string{"a", "b", "c"}
	for name, c := range map[string]struct {
		v          view
		take, give int
	}{
		"alone takes all":                          {of([]string{"a"}, []string{"-", "-", "-"}), 3, 0},
		"half of what is free":                     {of(ab, []string{"-", "-", "-", "-"}), 2, 0},
		"the odd one is for the first":             {of(ab, []string{"-"}), 1, 0},
		"the odd one is for the other":             {of([]string{"0", "a"}, []string{"-"}), 0, 0},
		"the odd one stays where it is":            {of(ab, []string{"b"}), 0, 0},
		"nothing to do":                            {of(abc, []string{"a", "a", "b", "b", "c"}), 0, 0},
		"one too many for a newcomer":              {of(abc, []string{"a", "a", "a", "b", "b"}), 0, 1},
		"not twice for the same newcomer":          {of(abc, []string{"a", "a", "a!", "b", "b"}), 0, 0},
		"half of all for the second replica":       {of(ab, []string{"a", "a", "a", "a"}), 0, 2},
		"what a dead one left":                     {of(ab, []string{"-", "-", "b", "a"}), 1, 0},
		"more replicas than shards":                {of([]string{"0", "1", "a", "b"}, []string{"-", "-"}), 0, 0},
		"its own is taken up again":                {of(ab, []string{"a*", "a*", "b", "b"}), 2, 0},
		"its own is taken up, then shared":         {of(ab, []string{"a*", "a*", "a*", "b"}), 3, 0},
		"one is being taken":                       {of(ab, []string{"a", "a>", "b", "-"}), 0, 0},
		"one is being taken, as the watch tells":   {of(ab, []string{"a", "a>", "b", "b"}), 0, 0},
		"a thief is no member":                     {of(ab, []string{"a", "a", "b", "x"}), 0, 0},
		"what nobody takes":                        {of(ab, []string{"a", "b", "-+", "b"}), 1, 0},
		"what nobody takes, beyond the share":      {of(ab, []string{"a", "a", "-+", "b"}), 1, 0},
		"what nobody took stays":                   {of(ab, []string{"a", "a", "a+", "b"}), 0, 0},
		"what nobody took counts into the share":   {of(ab, []string{"a", "a+", "-", "b"}), 0, 0},
		"what is free for a moment, above a share": {of(ab, []string{"a", "a", "-", "b"}), 0, 0},
	} {
		take, give := decide(c.v)
		if len(take) != c.take || len(give) != c.give {
			t.Errorf("%s: takes %v, gives up %v; want %d and %d", name, take, give, c.take, c.give)
		}
	}
}

func TestDecideWhileNothingIsSeenOrLeaving(t *testing.T) {
	t.Parallel()
	v := of([]string{"a"}, []string{"a", "-", "-+"})
	v.mayTake = false
	if take, give := decide(v); len(take)+len(give) != 0 {
		t.Errorf("not seeing anything: takes %v, gives up %v", take, give)
	}
	v = of([]string{"b"}, []string{"a", "a!", "-+", "a*", "b", "a+"})
	v.leaving = true
	if take, give := decide(v); len(take) != 0 || !slices.Equal(give, []int{5, 0}) {
		t.Errorf("leaving: takes %v, gives up %v", take, give)
	}
}

// TestSharesAddUp: whatever happened before, all replicas that see the same come
// to shares that differ by one at most and leave nothing out, and then rest.
func TestSharesAddUp(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		shards, members := 1+random.IntN(20), []string{}
		for i := range 1 + random.IntN(9) {
			members = append(members, fmt.Sprintf("m%d", i))
		}
		holders := make([]string, shards)
		for i := range holders {
			if h := random.IntN(len(members) + 1); h < len(members) {
				holders[i] = members[h]
			}
		}
		kept := slices.Clone(holders)
		rounds := 0
		for settle(holders, members, random) {
			if rounds++; rounds > 50 {
				t.Fatalf("%d members do not come to rest: %v", len(members), holders)
			}
		}
		count, moved := map[string]int{}, 0
		for i, h := range holders {
			count[h]++
			if kept[i] != "" && kept[i] != h {
				moved++
			}
		}
		surplus := 0
		for _, m := range members {
			if n := count[m]; n < shards/len(members) || n > (shards+len(members)-1)/len(members) {
				t.Fatalf("%s holds %d of %d among %d", m, n, shards, len(members))
			}
			surplus += max(0, len(slices.DeleteFunc(slices.Clone(kept), func(h string) bool { return h != m }))-count[m])
		}
		if count[""] != 0 || moved != surplus {
			t.Fatalf("%d free, %d moved, %d had to", count[""], moved, surplus)
		}
	}
}

// settle has every member decide once, in some order, and reports whether
// anything changed.
func settle(holders, members []string, random *rand.Rand) (changed bool) {
	for _, m := range random.Perm(len(members)) {
		v := view{me: members[m], members: members, mayTake: true, rescue: lease}
		for _, h := range holders {
			v.shards = append(v.shards, shardView{holder: h, held: h == v.me})
		}
		take, give := decide(v)
		for _, i := range take {
			holders[i], changed = v.me, true
		}
		for _, i := range give {
			holders[i], changed = "", true
		}
	}
	return changed
}

// TestTimeThatPassedInASuspendedMachineCounts: the monotonic clock stands still in
// it. A time without a monotonic reading is compared by the wall clock.
func TestTimeThatPassedInASuspendedMachineCounts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if got := elapsed(now, now.Add(time.Minute)); got != time.Minute {
		t.Errorf("a minute took %v", got)
	}
	if got := elapsed(now, now.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("an hour by the wall clock took %v", got)
	}
}

// TestHoldEndsWithoutAnybodyNoticing: whatever a process does first when it wakes,
// it does not hold what it held when it was stopped. Nothing runs here but the
// clock.
func TestHoldEndsWithoutAnybodyNoticing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &Group{o: Options{Shards: 1, LeaseDuration: lease}, holds: []*hold{{renewed: time.Now()}}}
		for _, c := range []struct {
			after time.Duration
			want  bool
		}{{0, true}, {lease*4/5 - 1, true}, {1, false}, {time.Hour, false}} {
			time.Sleep(c.after)
			if g.Holds(0) != c.want || g.Owns("x") != c.want || g.MayAct("x") != c.want || (g.Status().Held != nil) != c.want {
				t.Errorf("after another %v: Holds %t, Owns %t, MayAct %t, Status %v", c.after, g.Holds(0), g.Owns("x"), g.MayAct("x"), g.Status().Held)
			}
		}
		g.holds[0].renewed = time.Now()
		g.holds[0].going = true
		if !g.Holds(0) || !g.MayAct("x") || g.Owns("x") {
			t.Error("a shard that drains is not held, or still owned")
		}
		g.holds[0].gone = true
		if g.Holds(0) || g.MayAct("x") {
			t.Error("a shard is held that is being freed")
		}
		if g.Holds(-1) || g.Holds(1) {
			t.Error("a shard is held that does not exist")
		}
	})
}
