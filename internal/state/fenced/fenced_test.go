package fenced

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *memory) {
		statetest.Run(t, func(t *testing.T) statetest.Backend {
			m := newMemory(m.erases)
			return statetest.Backend{Open: func(t *testing.T) state.Store { return m.open(t) }, Damage: m.damage}
		})
	})
}

func TestASleeperIsFencedUntilItLoadsAgain(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *memory) {
		sleeper, successor := m.open(t), m.open(t)
		mustSave(t, sleeper, 1)
		wantGeneration(t, successor, 1)
		mustSave(t, successor, 2)
		before := m.writes
		for range 3 {
			wantFenced(t, sleeper.Save(t.Context(), "one", generationOf(9)))
			wantFenced(t, sleeper.Delete(t.Context(), "one"))
		}
		if n := m.writes - before; n != 1 {
			t.Errorf("%d writes, want the one that found it out", n)
		}
		wantGeneration(t, sleeper, 2)
		if err := sleeper.Delete(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		wantFenced(t, successor.Save(t.Context(), "one", generationOf(3)))
		wantGeneration(t, successor, 0)
	})
}

// once lets a write go lost, before or after it landed.
func once(m *memory, lands bool) {
	m.set(func(m *memory) {
		m.onWrite = func(land func()) (Outcome, error) {
			m.onWrite = nil
			if lands {
				land()
			}
			return Lost, errBroken
		}
	})
}

func TestAWriteWhoseAnswerOrRequestIsLost(t *testing.T) {
	t.Parallel()
	for _, lands := range []bool{true, false} {
		t.Run(fmt.Sprintf("lands=%t", lands), func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, m *memory) {
				synctest.Test(t, func(t *testing.T) {
					s := m.open(t)
					for g := range uint64(3) { // a create and updates
						once(m, lands)
						mustSave(t, s, g+1)
						wantGeneration(t, m.open(t), g+1)
					}
					once(m, lands)
					if err := s.Delete(t.Context(), "one"); err != nil {
						t.Error(err)
					}
					wantGeneration(t, m.open(t), 0)
					once(m, lands)
					mustSave(t, s, 9)
					wantGeneration(t, s, 9)
				})
			})
		})
	}
}

// outage loses the answer to one call, whose write lands when late is called, and
// every look at it.
func outage(t *testing.T, m *memory, call func() error) (late func()) {
	t.Helper()
	var landing func()
	m.set(func(m *memory) {
		m.onRead = errBroken
		m.onWrite = func(land func()) (Outcome, error) { landing = land; return Lost, errBroken }
	})
	if err := call(); !errors.Is(err, errBroken) || errors.Is(err, token.ErrFenced) {
		t.Errorf("during the outage: %v", err)
	}
	m.set(func(m *memory) { m.onRead, m.onWrite = nil, nil })
	return func() { m.set(func(*memory) { landing() }) }
}

// TestAWriteThatLandsAfterItWasGivenUp: the next write meets it, and must neither
// take it for another owner's nor for itself.
func TestAWriteThatLandsAfterItWasGivenUp(t *testing.T) {
	t.Parallel()
	saves := func(t *testing.T, s *Store[int]) error { return s.Save(t.Context(), "one", generationOf(2)) }
	deletes := func(t *testing.T, s *Store[int]) error { return s.Delete(t.Context(), "one") }
	for name, test := range map[string]struct {
		saved       bool // before all
		first, next func(*testing.T, *Store[int]) error
		want        uint64
	}{
		"a create, then a save":       {false, saves, saves, 2},
		"a create, then a deletion":   {false, saves, deletes, 0},
		"an update, then a save":      {true, saves, saves, 2},
		"an update, then a deletion":  {true, saves, deletes, 0},
		"a deletion, then a save":     {true, deletes, saves, 2},
		"a deletion, then a deletion": {true, deletes, deletes, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, m *memory) {
				synctest.Test(t, func(t *testing.T) {
					s := m.open(t)
					if test.saved {
						mustSave(t, s, 1)
					} else {
						wantGeneration(t, s, 0)
					}
					outage(t, m, func() error { return test.first(t, s) })()
					if err := test.next(t, s); err != nil {
						t.Errorf("after the outage: %v", err)
					}
					wantGeneration(t, m.open(t), test.want)
				})
			})
		})
	}
}

// TestAForeignDeletionAfterAnOwnOneThatWasOpen: what is settled explains nothing
// any more.
func TestAForeignDeletionAfterAnOwnOneThatWasOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(true)
		s := m.open(t)
		mustSave(t, s, 1)
		outage(t, m, func() error { return s.Delete(t.Context(), "one") })()
		mustSave(t, s, 2)
		m.set(func(m *memory) { delete(m.entries, "one") })
		wantFenced(t, s.Save(t.Context(), "one", generationOf(3)))
	})
}

func TestAnOwnWriteThatSomebodyEditedIsAFence(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *memory) {
		s := m.open(t)
		mustSave(t, s, 1)
		outage(t, m, func() error { return s.Save(t.Context(), "one", generationOf(2)) })()
		m.damage(t, "one")
		wantFenced(t, s.Save(t.Context(), "one", generationOf(3)))
	})
}

func TestAVersionThatChangesWithoutAWriteIsNoFence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(true)
		s := m.open(t)
		mustSave(t, s, 1)
		m.set(func(m *memory) {
			h := m.entries["one"]
			m.version++
			h.version = m.version
			m.entries["one"] = h
		})
		mustSave(t, s, 2)
		wantGeneration(t, m.open(t), 2)
	})
}

func TestAWriteThatIsContestedForeverIsGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(true)
		s := m.open(t)
		mustSave(t, s, 1)
		before, start := m.writes, time.Now()
		m.set(func(m *memory) { m.onWrite = func(func()) (Outcome, error) { return Contested, errBroken } })
		if err := s.Save(t.Context(), "one", generationOf(2)); !errors.Is(err, errBroken) {
			t.Errorf("Save: %v", err)
		}
		if n, took := m.writes-before, time.Since(start); n != Tries || took != 700*time.Millisecond {
			t.Errorf("%d writes in %v, want %d in 700ms", n, took, Tries)
		}
	})
}

func TestARefusedWriteIsSentOnce(t *testing.T) {
	t.Parallel()
	m := newMemory(true)
	s := m.open(t)
	mustSave(t, s, 1)
	before := m.writes
	m.set(func(m *memory) { m.onWrite = func(func()) (Outcome, error) { return Refused, errBroken } })
	if err := s.Save(t.Context(), "one", generationOf(2)); !errors.Is(err, errBroken) {
		t.Errorf("Save: %v", err)
	}
	if n := m.writes - before; n != 1 {
		t.Errorf("%d writes", n)
	}
	m.set(func(m *memory) { m.onWrite = nil })
	mustSave(t, s, 3)
}

// TestAPlaceThatIsGoneIsNoOtherOwner: to take it for one would make every token of
// the fleet log in anew.
func TestAPlaceThatIsGoneIsNoOtherOwner(t *testing.T) {
	t.Parallel()
	m := newMemory(true)
	s := m.open(t)
	mustSave(t, s, 1)
	m.set(func(m *memory) {
		delete(m.entries, "one")
		m.absent = errors.New("no such namespace")
	})
	if err := s.Save(t.Context(), "one", generationOf(2)); !errors.Is(err, m.absent) || errors.Is(err, token.ErrFenced) {
		t.Errorf("Save: %v", err)
	}
	m.set(func(m *memory) { m.absent = nil })
	wantFenced(t, s.Save(t.Context(), "one", generationOf(2)))
}

// TestARecordMendedWhileItIsPutIntoQuarantine: what the other owner wrote is read
// and is not kept as damage; an owner that never ends is no missing record.
func TestARecordMendedWhileItIsPutIntoQuarantine(t *testing.T) {
	t.Parallel()
	m := newMemory(true)
	s, other := m.open(t), m.open(t)
	mustSave(t, s, 1)
	m.damage(t, "one")
	m.onKeep = func() {
		m.onKeep = nil
		wantGeneration(t, other, 0)
		mustSave(t, other, 2)
	}
	wantGeneration(t, s, 2)
	if len(m.kept) != 1 { // by the other owner
		t.Errorf("%d entries were kept, want 1", len(m.kept))
	}
	m.damage(t, "one")
	m.onKeep = func() { m.damage(t, "one") }
	if _, err := s.Load(t.Context(), "one"); !errors.Is(err, ErrOvertaken) || errors.Is(err, token.ErrNoRecord) {
		t.Errorf("Load: %v", err)
	}
}

func TestWhatWasReadAheadGoesStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(true)
		s := m.open(t)
		mustSave(t, s, 1)
		read := func(name string) {
			if err := s.Prefetch(t.Context(), []string{name}); err != nil {
				t.Fatal(err)
			}
		}
		read("one")
		mustSave(t, m.open(t), 2)
		time.Sleep(20 * time.Second)
		wantGeneration(t, s, 1)
		read("one")
		mustSave(t, m.open(t), 3)
		time.Sleep(20*time.Second + 1)
		wantGeneration(t, s, 3)
		read("one")
		time.Sleep(20*time.Second + 1)
		read("two")
		if len(s.fetched) != 1 {
			t.Errorf("%d records are kept of those that nobody asked for", len(s.fetched))
		}
	})
}

func TestWhatWasReadAheadIsOvertakenByOwnWrites(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, m *memory) {
		s := m.open(t)
		ahead := func() {
			if err := s.Prefetch(t.Context(), []string{"one"}); err != nil {
				t.Fatal(err)
			}
		}
		mustSave(t, s, 1)
		ahead()
		mustSave(t, s, 2)
		wantGeneration(t, s, 2)
		ahead()
		if err := s.Delete(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
		wantGeneration(t, s, 0)
		ahead()
		mustSave(t, m.open(t), 3)
		wantGeneration(t, s, 0) // the fence finds out
		wantFenced(t, s.Save(t.Context(), "one", generationOf(4)))
	})
}
