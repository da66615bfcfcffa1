package ha

import (
	"fmt"
	"testing"
)

// TestShardsOfVersion1 holds the hash to what replicas of other versions compute.
func TestShardsOfVersion1(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][3]int{ // of 2, 8 and 64
		"operator": {1, 1, 59}, "a": {1, 4, 55}, "tenant-0042": {0, 0, 31}, "x.y_z": {1, 7, 62}, "": {1, 3, 62},
	} {
		got := [3]int{ShardOf(name, 2), ShardOf(name, 8), ShardOf(name, 64)}
		if got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if got := ShardOf("anything", 1); got != 0 {
		t.Errorf("the shard of one is %d", got)
	}
}

func TestShardsAreEvenAndStable(t *testing.T) {
	t.Parallel()
	const names, shards = 10_000, 8
	count, moved := [shards]int{}, 0
	for i := range names {
		name := fmt.Sprintf("tenant-%04d", i)
		s := ShardOf(name, shards)
		count[s]++
		if next := ShardOf(name, shards+1); next != s {
			moved++
			if next != shards {
				t.Fatalf("%s moves from shard %d to %d, which is not the new one", name, s, next)
			}
		}
	}
	for s, n := range count {
		if n < names/shards*9/10 || n > names/shards*11/10 {
			t.Errorf("shard %d has %d of %d tokens", s, n, names)
		}
	}
	if share := names / (shards + 1); moved < share*9/10 || moved > share*11/10 {
		t.Errorf("%d tokens move to a ninth shard", moved)
	}
}
