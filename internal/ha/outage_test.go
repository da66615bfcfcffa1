package ha

import (
	"maps"
	"slices"
	"testing"
	"time"

	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

// TestAPIServerGoesAndComesBack has an API server of its own. Killed for a moment
// it costs nobody anything; stopped for long it makes all stand by, and then
// everybody takes up what it had.
func TestAPIServerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	own := testbed.Own(t)
	f := &fleet{namespace: own.Namespace(t), config: own.Admin(), shards: 6}
	f.guard(t)
	a, b, c := f.start(t, "a"), f.start(t, "b"), f.start(t, "c")
	all := []*replica{a, b, c}
	f.spread(t, soon, all, 2, 2, 2)
	had := func() (held [][]int) {
		for _, r := range all {
			held = append(held, r.Status().Held)
		}
		return held
	}
	before := had()

	if err := own.PauseAPIServer(); err != nil {
		t.Fatal(err)
	}
	await(t, soon, "all stand by", func() bool {
		return a.Status().Standby && b.Status().Standby && c.Status().Standby
	})
	time.Sleep(leaseDuration)
	for _, r := range all {
		r.taken()
	}
	time.Sleep(leaseDuration)
	for _, r := range all {
		if n := r.taken(); sum(n) > 40 { // in four times RenewEvery
			t.Errorf("during the outage %s asked %v", r.name, n)
		}
	}
	if err := own.ResumeAPIServer(); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	f.spread(t, soon, all, 2, 2, 2)
	t.Logf("back after %v", time.Since(back))
	if after := had(); !slices.EqualFunc(before, after, slices.Equal[[]int]) {
		t.Errorf("before the outage they held %v, and then %v", before, after)
	}

	own.KillAPIServer()
	if err := own.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.spread(t, soon, all, 2, 2, 2)
	for _, r := range all {
		r.stop()
	}
}

func sum(n map[string]int) (total int) {
	for v := range maps.Values(n) {
		total += v
	}
	return total
}
