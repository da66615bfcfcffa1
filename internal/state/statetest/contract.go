package statetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

func roundTrip(t *testing.T, b Backend) {
	for _, v := range []any{Full(), *Full().Intent, Full().Token} {
		for i, v := 0, reflect.ValueOf(v); i < v.NumField(); i++ {
			if v.Field(i).IsZero() {
				t.Fatalf("%s.%s is new: set it in Full, so that stores are held to it", v.Type(), v.Type().Field(i).Name)
			}
		}
	}
	s := b.Open(t)
	local := Full()
	local.IssuedAt = time.Now() // with a monotonic reading and a zone
	save(t, s, "local", local)
	for what, r := range Records() {
		save(t, s, nameOf(what), r)
	}
	for range 2 {
		for what, r := range Records() {
			Same(t, load(t, s, nameOf(what)), r)
		}
		want := local
		want.IssuedAt = local.IssuedAt.Round(0).UTC()
		Same(t, load(t, s, "local"), want)
		s = reopen(t, b, s)
	}
	shut(t, s)
}

func nameOf(what string) string { return strings.ToLower(strings.ReplaceAll(what, " ", "-")) }

func absent(t *testing.T, b Backend) {
	s := b.Open(t)
	defer shut(t, s)
	missing(t, s, "nobody")
	save(t, s, "nobody2", Full())
	missing(t, s, "nobody")
}

func overwrite(t *testing.T, b Backend) {
	s := b.Open(t)
	save(t, s, "one", Full())
	second := token.Record{Token: token.Token{Generation: 2, AccessToken: token.NewSecret("second")}}
	save(t, s, "one", second)
	Same(t, load(t, s, "one"), second)
	s = reopen(t, b, s)
	defer shut(t, s)
	Same(t, load(t, s, "one"), second)
}

func deleted(t *testing.T, b Backend) {
	s := b.Open(t)
	save(t, s, "stays", Full())
	save(t, s, "goes", Full())
	for range 2 { // the second time there is nothing to delete
		if err := s.Delete(t.Context(), "goes"); err != nil {
			t.Fatal(err)
		}
	}
	missing(t, s, "goes")
	s = reopen(t, b, s)
	defer shut(t, s)
	missing(t, s, "goes")
	Same(t, load(t, s, "stays"), Full())
	save(t, s, "goes", Full())
	Same(t, load(t, s, "goes"), Full())
}

func names(t *testing.T, b Backend) {
	s := b.Open(t)
	defer shut(t, s)
	good := []string{"a", "a.b", "a-b", "a_b", "a..b", "0", "a.b.c", strings.Repeat("n", 63)}
	for i, name := range good {
		save(t, s, name, token.Record{Token: token.Token{Generation: uint64(i + 1)}})
	}
	for i, name := range good {
		if got := load(t, s, name).Generation; got != uint64(i+1) {
			t.Errorf("%s: got the record of generation %d, want %d", name, got, i+1)
		}
	}
	for _, name := range []string{"", ".", "../a", "a/b", "A", "a b", "a\x00", strings.Repeat("n", 64)} {
		if err := s.Save(t.Context(), name, Full()); err == nil {
			t.Errorf("Save took the name %q", name)
		}
		if _, err := s.Load(t.Context(), name); err == nil {
			t.Errorf("Load took the name %q", name)
		}
		if err := s.Delete(t.Context(), name); err == nil {
			t.Errorf("Delete took the name %q", name)
		}
	}
}

func concurrentNames(t *testing.T, b Backend) {
	s := b.Open(t)
	const writers, rounds = 32, 8
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			name := fmt.Sprintf("token-%02d", w)
			for g := range uint64(rounds) {
				r := Full()
				r.Generation = g + 1
				if err := s.Save(t.Context(), name, r); err != nil {
					t.Error(err)
				}
				if got, err := s.Load(t.Context(), name); err != nil || got.Generation != g+1 {
					t.Errorf("%s: loaded generation %d (%v) after saving %d", name, got.Generation, err, g+1)
				}
			}
		})
	}
	all.Wait()
	s = reopen(t, b, s)
	defer shut(t, s)
	for w := range writers {
		if got := load(t, s, fmt.Sprintf("token-%02d", w)).Generation; got != rounds {
			t.Errorf("token-%02d: generation %d after reopening, want %d", w, got, rounds)
		}
	}
}

// lastSaveWins keeps other names busy, so that the saves share commits.
func lastSaveWins(t *testing.T, b Backend) {
	s := b.Open(t)
	defer shut(t, s)
	ctx, stop := context.WithCancel(t.Context())
	var noise sync.WaitGroup
	for i := range 4 {
		noise.Go(func() {
			for ctx.Err() == nil {
				if err := s.Save(t.Context(), fmt.Sprintf("noise-%d", i), Full()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for g := range uint64(50) {
		save(t, s, "one", token.Record{Token: token.Token{Generation: g}})
		if got := load(t, s, "one").Generation; got != g {
			t.Fatalf("generation %d after saving %d", got, g)
		}
	}
	stop()
	noise.Wait()
}

func endedContext(t *testing.T, b Backend) {
	s := b.Open(t)
	defer shut(t, s)
	save(t, s, "one", token.Record{})
	cause := errors.New("the caller had enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if err := s.Save(ctx, "one", Full()); !errors.Is(err, cause) {
		t.Errorf("Save: %v, want the context's cause", err)
	}
	if err := s.Delete(ctx, "one"); !errors.Is(err, cause) {
		t.Errorf("Delete: %v, want the context's cause", err)
	}
	if _, err := s.Load(ctx, "one"); !errors.Is(err, cause) || errors.Is(err, token.ErrNoRecord) {
		t.Errorf("Load: %v, want the context's cause", err)
	}
	Same(t, load(t, s, "one"), token.Record{})
}

// abandonedSave gives up waiting at all moments of a save.
func abandonedSave(t *testing.T, b Backend) {
	s := b.Open(t)
	defer shut(t, s)
	for i := range uint64(100) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*20*time.Microsecond)
		err := s.Save(ctx, "one", token.Record{Token: token.Token{Generation: 2 * i}})
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		cancel()
		save(t, s, "one", token.Record{Token: token.Token{Generation: 2*i + 1}})
		if got := load(t, s, "one").Generation; got != 2*i+1 {
			t.Fatalf("generation %d after the save of %d, whose predecessor was given up", got, 2*i+1)
		}
	}
}

func closed(t *testing.T, b Backend) {
	s := b.Open(t)
	save(t, s, "one", Full())
	shut(t, s)
	shut(t, s) // twice is no error
	if err := s.Save(t.Context(), "one", token.Record{}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Save after Close: %v", err)
	}
	if err := s.Delete(t.Context(), "one"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Delete after Close: %v", err)
	}
	if _, err := s.Load(t.Context(), "one"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Load after Close: %v", err)
	}
	s = b.Open(t)
	defer shut(t, s)
	Same(t, load(t, s, "one"), Full())
}

func quarantined(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, name := range []string{"before", "damaged", "later"} {
		save(t, s, name, Full())
	}
	shut(t, s)
	b.Damage(t, "damaged")
	s = b.Open(t)
	for range 2 {
		_, err := s.Load(t.Context(), "damaged")
		if !errors.Is(err, token.ErrNoRecord) || !strings.Contains(err.Error(), "quarantine") {
			t.Fatalf("Load of a damaged record: %v, want one that wraps ErrNoRecord and speaks of quarantine", err)
		}
		Same(t, load(t, s, "before"), Full())
		Same(t, load(t, s, "later"), Full())
		s = reopen(t, b, s)
	}
	save(t, s, "damaged", Full())
	Same(t, load(t, s, "damaged"), Full())
	s = reopen(t, b, s)
	defer shut(t, s)
	Same(t, load(t, s, "damaged"), Full())
}

func save(t *testing.T, s state.Store, name string, r token.Record) {
	t.Helper()
	if err := s.Save(t.Context(), name, r); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, s state.Store, name string) token.Record {
	t.Helper()
	r, err := s.Load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func missing(t *testing.T, s state.Store, name string) {
	t.Helper()
	if _, err := s.Load(t.Context(), name); !errors.Is(err, token.ErrNoRecord) {
		t.Fatalf("Load of %s: %v, want one that wraps ErrNoRecord", name, err)
	}
}

func reopen(t *testing.T, b Backend, s state.Store) state.Store {
	t.Helper()
	shut(t, s)
	return b.Open(t)
}

func shut(t *testing.T, s state.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
