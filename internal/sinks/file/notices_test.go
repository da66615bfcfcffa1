package file

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

func writes(t *testing.T, s *Sink, generation uint64) {
	t.Helper()
	issued := time.Unix(int64(1_700_000_000+generation), 0)
	changed, err := s.Write(t.Context(), token.Token{Generation: generation, AccessToken: token.NewSecret(issued.String()), TokenType: "Bearer",
		IssuedAt: issued, ExpiresAt: issued.Add(time.Hour)})
	if err != nil || !changed {
		t.Fatalf("generation %d: %t, %v", generation, changed, err)
	}
}

// A fleet's own writes cost no look at the disk each: their notices are counted.
// Any doubt in the count brings a look, and a look that finds nothing ends it.
func TestOwnWritesAreCountedRatherThanLookedAt(t *testing.T) {
	t.Parallel()
	format, err := sinks.NewFormat("token", sinks.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewMonitor(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); m.Run(ctx) }()
	defer func() { cancel(); <-done; _ = m.Close() }()
	s, err := New(Options{Path: filepath.Join(t.TempDir(), "token"), Format: format, Monitor: m})
	if err != nil {
		t.Fatal(err)
	}
	writes(t, s, 1) // nobody hears of this one
	stop, err := s.Watch(func() { t.Error("an own write was taken for another's") })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	agreed := func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		s.mu.Lock()
		defer s.mu.Unlock()
		w := m.dirs[filepath.Dir(s.path)].files[filepath.Base(s.path)][0]
		return len(m.dirty) == 0 && w.heard == notices{moves: s.moves, complete: true}
	}
	for g := uint64(2); g < 6; g++ {
		writes(t, s, g)
		for deadline := time.Now().Add(10 * time.Second); !agreed(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after write %d the count does not agree", g)
			}
		}
	}
}

func TestACountThatIsInDoubtBringsALook(t *testing.T) {
	t.Parallel()
	format, err := sinks.NewFormat("token", sinks.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Path: filepath.Join(t.TempDir(), "token"), Format: format})
	if err != nil {
		t.Fatal(err)
	}
	writes(t, s, 1)
	if err := os.Remove(s.path); err != nil {
		t.Fatal(err)
	}
	heard := func(ops ...fsnotify.Op) notices {
		n := notices{complete: true}
		for _, op := range ops {
			n.add(fsnotify.Event{Op: op})
		}
		return n
	}
	for name, c := range map[string]struct {
		heard notices
		want  verdict
	}{
		"as many as were put there":     {heard(fsnotify.Create), intact},
		"one more":                      {heard(fsnotify.Create, fsnotify.Create), drifted},
		"one less":                      {heard(), drifted},
		"one that was removed":          {heard(fsnotify.Create, fsnotify.Remove), drifted},
		"one whose mode was changed":    {heard(fsnotify.Create, fsnotify.Chmod), drifted},
		"one that was written to":       {heard(fsnotify.Create, fsnotify.Write), drifted},
		"made and opened at once":       {heard(fsnotify.Create | fsnotify.Chmod), drifted},
		"nothing is known to have come": {notices{moves: 1}, drifted},
	} {
		if got, moves := s.look(c.heard); got != c.want || moves != 1 {
			t.Errorf("%s: %v after %d moves, want %v", name, got, moves, c.want)
		}
	}
}
