package file

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
)

// files opens so many files to take steps for.
func files(t *testing.T, n int) (fds []int) {
	t.Helper()
	dir := t.TempDir()
	for i := range n {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		fds = append(fds, int(f.Fd()))
	}
	return fds
}

// together has a crew take steps that are all asked for while the first is taken,
// and returns how many had been taken at each flush.
func together(t *testing.T, steps []*step, flush func() error) (taken []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var c crew
		var all sync.WaitGroup
		n, gate := 0, make(chan struct{})
		for i, s := range steps {
			take := s.take
			s.take = func() (int, error) {
				if i == 0 {
					<-gate
				}
				n++
				return take()
			}
			all.Go(func() {
				c.do(s, func(int) error {
					taken = append(taken, n)
					return flush()
				})
			})
			synctest.Wait()
		}
		close(gate)
		all.Wait()
		synctest.Wait()
		if c.busy || c.next != nil {
			t.Error("the crew has not gone home")
		}
	})
	return taken
}

func succeed(fd int) *step { return &step{take: func() (int, error) { return fd, nil }} }

func TestStepsShareAFlush(t *testing.T) {
	fds := files(t, 5)
	var steps []*step
	for _, fd := range fds {
		steps = append(steps, succeed(fd))
	}
	full := errors.New("no room")
	steps[3].take = func() (int, error) { return -1, full }
	steps[4].take = func() (int, error) { panic("a defect") }
	taken := together(t, steps, func() error { return nil })
	if len(taken) != 1 || taken[0] != len(steps) {
		t.Errorf("flushes came after %v steps, want one after all %d", taken, len(steps))
	}
	if err := steps[3].err; !errors.Is(err, full) {
		t.Errorf("the step that found no room got %v", err)
	}
	for i, s := range steps {
		if failed := i >= 3; failed != (s.err != nil) || s.synced == failed || s.syncErr != nil {
			t.Errorf("step %d: error %v, synced %t with error %v", i, s.err, s.synced, s.syncErr)
		}
	}
}

// Renames of one directory change one thing.
func TestStepsForOneThingNeedNoFlush(t *testing.T) {
	fd := files(t, 1)[0]
	steps := []*step{succeed(fd), succeed(fd), succeed(fd)}
	if taken := together(t, steps, func() error { return nil }); taken != nil {
		t.Errorf("flushes came after %v steps", taken)
	}
	for i, s := range steps {
		if !s.synced || s.syncErr != nil {
			t.Errorf("step %d: synced %t with error %v", i, s.synced, s.syncErr)
		}
	}
}

func TestAStepWhoseSyncFailsIsToldSo(t *testing.T) {
	const none = 1 << 20 // no descriptor
	s := succeed(none)
	together(t, []*step{s}, func() error { return nil })
	if !s.synced || !errors.Is(s.syncErr, syscall.EBADF) {
		t.Errorf("synced %t with error %v", s.synced, s.syncErr)
	}
}

// A file system that may not be flushed now, or whose flush failed for the sake of
// somebody else's file: each caller sees to its own.
func TestAFlushThatFailsIsLeftToTheCallers(t *testing.T) {
	fds := files(t, 2)
	steps := []*step{succeed(fds[0]), succeed(fds[1])}
	together(t, steps, func() error { return errApart })
	for i, s := range steps {
		if s.err != nil || s.synced || s.syncErr != nil {
			t.Errorf("step %d: error %v, synced %t with error %v", i, s.err, s.synced, s.syncErr)
		}
	}
}

// Each step is asked for while the one before is taken, so that there is always one
// more to come.
func TestALongLineIsSyncedInBetween(t *testing.T) {
	fds := files(t, 2)
	var c crew
	var all sync.WaitGroup
	var flushes []int
	taken := 0
	var ask func()
	ask = func() {
		s := &step{take: func() (int, error) {
			if taken++; taken < 2*mostShared {
				all.Go(ask)
				for joined := false; !joined; runtime.Gosched() {
					c.mu.Lock()
					joined = c.next != nil
					c.mu.Unlock()
				}
			}
			return fds[taken%2], nil
		}}
		c.do(s, func(int) error {
			flushes = append(flushes, taken)
			return nil
		})
	}
	all.Go(ask)
	all.Wait()
	if want := []int{mostShared, 2 * mostShared}; !slices.Equal(flushes, want) {
		t.Errorf("flushes came after %v steps, want %v", flushes, want)
	}
}
