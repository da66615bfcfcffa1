package file

import (
	"errors"
	"reflect"
	"sync"
	"testing"
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
		_ = g.do(func(callers int) error {
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
			errs <- g.do(func(callers int) error {
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
