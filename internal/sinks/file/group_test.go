package file

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A rename that happened while a sync was under way is not covered by it: its
// caller needs one that starts afterwards, and shares that with all others who
// came meanwhile.
func TestGroupServesWithARunThatStartedAfterTheCall(t *testing.T) {
	const followers = 5
	var g group
	var runs []int
	started, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = g.do(false, func(callers int) error {
			runs = append(runs, callers)
			close(started)
			<-finish
			return nil
		})
	})
	<-started
	failed := errors.New("the second run failed")
	errs := make(chan error, followers)
	for range followers {
		wg.Go(func() {
			errs <- g.do(false, func(callers int) error {
				runs = append(runs, callers)
				return failed
			})
		})
	}
	for joined := 0; joined < followers; { // all have asked, none is served
		g.mu.Lock()
		if g.next != nil {
			joined = g.next.callers
		}
		g.mu.Unlock()
	}
	close(finish)
	wg.Wait()
	if len(runs) != 2 || runs[0] != 1 || runs[1] != followers {
		t.Errorf("runs served %v callers, want [1 %d]", runs, followers)
	}
	for range followers {
		if err := <-errs; !errors.Is(err, failed) {
			t.Errorf("a follower got %v", err)
		}
	}
}

func TestWaitingIsRead(t *testing.T) {
	if n := waiting(); n < 0 || n >= 1<<50 {
		t.Errorf("waiting() = %d; /proc/meminfo was not understood", n)
	}
}

// Ten thousand sinks are alive at once.
func TestSinkIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Sink]().Size(); size > 160 {
		t.Errorf("a Sink takes %d bytes", size)
	}
}

func TestGroupWaitsForCallsThatAreAnnounced(t *testing.T) {
	for _, c := range []struct {
		name  string
		comes bool
		wants []int
		after time.Duration
	}{
		{"one that comes", true, []int{2}, linger / 2},
		{"one that is withdrawn", false, []int{1}, linger / 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var g group
				var runs []int
				f := func(callers int) error { runs = append(runs, callers); return nil }
				began := time.Now()
				g.announce()
				g.announce()
				var all sync.WaitGroup
				all.Go(func() { _ = g.do(true, f) })
				time.Sleep(linger / 2)
				if c.comes {
					_ = g.do(true, f)
				} else {
					g.withdraw()
				}
				all.Wait()
				if !slices.Equal(runs, c.wants) || time.Since(began) != c.after {
					t.Errorf("runs served %v callers after %v", runs, time.Since(began))
				}
			})
		})
	}
}

func TestGroupDoesNotWaitLongForACallThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		began := time.Now()
		g.announce()
		if err := g.do(false, func(callers int) error {
			if callers != 1 {
				t.Errorf("the run served %d callers", callers)
			}
			return nil
		}); err != nil || time.Since(began) != linger {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
