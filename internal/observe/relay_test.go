package observe_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/refresher"
)

// parcels notes what each write brought.
type parcels []string

func (p *parcels) Write(b []byte) (int, error) {
	*p = append(*p, string(b))
	return len(b), nil
}

// witness notes which generations it heard of.
type witness struct {
	heard []uint64
	when  []time.Duration
	began time.Time
}

func (w *witness) Observe(e refresher.Event) {
	w.heard = append(w.heard, e.Generation)
	w.when = append(w.when, time.Since(w.began))
}

func TestEventsThatComeTogetherArePassedOnTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var out parcels
		lines := observe.NewLines(&out)
		w := &witness{began: time.Now()}
		r := observe.NewRelay(lines, observe.NewLog(observe.NewLogger(lines, "text", slog.LevelInfo)), w)
		say := func(generation uint64) {
			r.Observe(refresher.Event{Kind: refresher.Refreshed, At: time.Now(), Token: "ann", Generation: generation})
		}
		say(1)
		r.Gather()
		say(2)
		time.Sleep(5 * time.Millisecond)
		say(3)
		time.Sleep(6 * time.Millisecond) // 11 ms
		synctest.Wait()
		say(4)
		time.Sleep(time.Second)
		synctest.Wait()
		say(5)
		r.Through()
		say(6)
		const ms = time.Millisecond
		if got, want := fmt.Sprint(w.heard, w.when), fmt.Sprint([]uint64{1, 2, 3, 4, 5, 6}, []time.Duration{0, 10 * ms, 10 * ms, 21 * ms, 1011 * ms, 1011 * ms}); got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
		var counts []int
		for _, p := range out {
			counts = append(counts, strings.Count(p, "\n"))
		}
		if fmt.Sprint(counts) != "[1 2 1 1 1]" || !strings.Contains(out[1], "generation=3") {
			t.Errorf("lines %v in %q", counts, out)
		}
	})
}

// Neither does a burst wait for its time, nor do observers that are slow make it
// fill the memory: those who bring more pass it on.
func TestABurstIsPassedOnAtOnceAndInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &witness{began: time.Now()}
		r := observe.NewRelay(observe.NewLines(&parcels{}), w)
		r.Gather()
		const n = 10_000
		for i := range uint64(n) {
			r.Observe(refresher.Event{Generation: i + 1})
		}
		synctest.Wait()
		if len(w.heard) != n {
			t.Fatalf("heard %d of %d without a wait", len(w.heard), n)
		}
		for i, g := range w.heard {
			if g != uint64(i+1) {
				t.Fatalf("heard %d in place %d", g, i)
			}
		}
	})
}

func TestNoEventIsLostBetweenManyWhoBringThem(t *testing.T) {
	t.Parallel()
	w := &witness{began: time.Now()}
	r := observe.NewRelay(observe.NewLines(&parcels{}), w)
	r.Gather()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				r.Observe(refresher.Event{Generation: uint64(1000*g + i)})
			}
		})
	}
	wg.Wait()
	r.Through()
	last := map[uint64]uint64{}
	for _, g := range w.heard {
		if of := g / 1000; last[of] != g%1000 {
			t.Fatalf("%d comes when %d is due", g, last[of])
		}
		last[g/1000]++
	}
	if len(w.heard) != 8000 {
		t.Errorf("heard %d of 8000", len(w.heard))
	}
}

// However many lines are held, they do not fill the memory.
func TestLinesAreNotHeldInAnyNumber(t *testing.T) {
	t.Parallel()
	var got parcels
	lines := observe.NewLines(&got)
	lines.Hold()
	line := []byte(strings.Repeat("x", 999) + "\n")
	for range 100 {
		_, _ = lines.Write(line)
	}
	if len(got) != 3 || len(got[0]) != 33_000 {
		t.Errorf("%d writes", len(got))
	}
	lines.Release()
	_, _ = lines.Write(line)
	if all := strings.Join(got, ""); len(all) != 101_000 {
		t.Errorf("%d bytes in all", len(all))
	}
}
