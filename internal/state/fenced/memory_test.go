package fenced

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
)

// memory is a Place whose faults are scripted.
type memory struct {
	erases bool // a deletion leaves nothing; otherwise it leaves an entry that says so

	mu      sync.Mutex
	version int // counts all writes
	entries map[string]held
	pieces  map[string][]byte
	kept    [][]byte
	writes  int

	onWrite func(land func()) (Outcome, error) // nil: it lands
	onRead  error
	absent  error // of the place as a whole
	onKeep  func()
}

type held struct {
	version int
	change  Change
}

var errBroken = errors.New("broken connection")

func newMemory(erases bool) *memory {
	return &memory{erases: erases, entries: map[string]held{}, pieces: map[string][]byte{}}
}

func (m *memory) open(t *testing.T) *Store[int] {
	t.Helper()
	s, err := Open(t.Context(), m, Options{
		Logger: slog.New(slog.DiscardHandler),
		Bounds: Bounds{Save: 25 * time.Second, Pause: 100 * time.Millisecond, Fresh: 20 * time.Second},
		Words:  Words{Server: "the place", Entry: "the entry", Entries: "it", GiveUp: "delete it"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// set changes the script between requests.
func (m *memory) set(change func(m *memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m)
}

func (m *memory) entryOf(h held) Entry[int] {
	c := h.change
	e := Entry[int]{Mark: Mark[int]{Version: h.version, Write: c.ID}, Record: c.Record, Pieces: c.Pieces}
	if c.ID == "" || c.Delete && m.erases {
		return Entry[int]{Why: "none was saved", Gone: true}
	}
	e.Sum = sha256.Sum256(fmt.Append(nil, c))
	if c.Delete {
		e.Why, e.Gone = "it was deleted", true
	} else if c.Quarantined != "" {
		e.Why = "it was put into quarantine"
	}
	return e
}

func (m *memory) Admit(context.Context) ([][]byte, error) { return nil, nil }

func (m *memory) Read(_ context.Context, name string) (Entry[int], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entryOf(m.entries[name]), m.onRead
}

func (m *memory) ReadAll(ctx context.Context, names []string) ([]Entry[int], error) {
	all := make([]Entry[int], len(names))
	for i, name := range names {
		var err error
		if all[i], err = m.Read(ctx, name); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (m *memory) Write(_ context.Context, name string, over int, c Change) (Entry[int], Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	made := held{m.version + 1, c}
	if c.Delete && m.erases && over == 0 {
		return m.entryOf(made), Landed, nil
	}
	land := func() { m.land(name, over, made) }
	if m.onWrite != nil {
		outcome, err := m.onWrite(land)
		return m.entryOf(made), outcome, err
	}
	if m.entries[name].version != over {
		return m.entryOf(made), Contested, errors.New("there is another version")
	}
	land()
	return m.entryOf(made), Landed, nil
}

// land is called with the lock. Late is as good as never, when another write came
// between.
func (m *memory) land(name string, over int, made held) {
	if m.entries[name].version != over {
		return
	}
	m.version++
	made.version = m.version
	m.entries[name] = made
	if made.change.Delete && m.erases {
		delete(m.entries, name)
	}
}

func (m *memory) Still(was, now Mark[int]) bool { return was.Write == now.Write && was.Sum == now.Sum }

func (m *memory) Present(context.Context) error { return m.absent }

func (m *memory) Keep(_ context.Context, name string, at Mark[int], _ error) (string, error) {
	if m.onKeep != nil {
		m.onKeep()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[name].version != at.Version {
		return "", ErrOvertaken
	}
	m.kept = append(m.kept, m.entries[name].change.Record)
	return "the cellar", nil
}

func (m *memory) Where(name string) string { return name }

func (m *memory) WritePiece(_ context.Context, name, id string, piece []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pieces[name+"/"+id] = slices.Clone(piece)
	return id, nil
}

func (m *memory) ReadPiece(_ context.Context, name, called string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pieces[name+"/"+called], nil
}

func (m *memory) ListPieces(_ context.Context, name string) (all []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(m.pieces)) {
		if called, ok := strings.CutPrefix(key, name+"/"); ok {
			all = append(all, called)
		}
	}
	return all, nil
}

func (m *memory) DeletePiece(_ context.Context, name, called string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pieces, name+"/"+called)
	return nil
}

func (m *memory) damage(_ *testing.T, name string) {
	m.set(func(m *memory) {
		h := m.entries[name]
		h.change.Record = slices.Clone(h.change.Record)
		h.change.Record[len(h.change.Record)/2]++
		m.version++
		h.version = m.version
		m.entries[name] = h
	})
}

// each runs a test on a place whose deletions leave nothing, and on one whose
// deletions are entries.
func each(t *testing.T, run func(t *testing.T, m *memory)) {
	t.Helper()
	for _, erases := range []bool{true, false} {
		t.Run(fmt.Sprintf("erases=%t", erases), func(t *testing.T) { run(t, newMemory(erases)) })
	}
}

func generationOf(g uint64) token.Record {
	r := statetest.Full()
	r.Generation = g
	return r
}

func mustSave(t *testing.T, s state.Store, g uint64) {
	t.Helper()
	if err := s.Save(t.Context(), "one", generationOf(g)); err != nil {
		t.Fatalf("Save of generation %d: %v", g, err)
	}
}

// wantGeneration loads; 0 stands for no record.
func wantGeneration(t *testing.T, s state.Store, g uint64) {
	t.Helper()
	r, err := s.Load(t.Context(), "one")
	if g == 0 && errors.Is(err, token.ErrNoRecord) {
		return
	}
	if err != nil || r.Generation != g {
		t.Errorf("Load: generation %d, %v; want %d", r.Generation, err, g)
	}
}

func wantFenced(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, token.ErrFenced) {
		t.Errorf("got %v, want ErrFenced", err)
	}
}
