// Package sinktest is the suite that every sink passes: what [sinks.Sink] and its
// optional interfaces promise, asked from outside the place.
package sinktest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

// Harness is one fresh, empty place and the means to look at it without the sink
// under test. A test of the suite asks for a harness of its own.
type Harness struct {
	// Sink is the sink under test.
	Sink sinks.Sink
	// Read returns the access token that the place holds; ok is false when it
	// holds none.
	Read func(t *testing.T) (accessToken string, ok bool)
	// Edit changes the content of the place the way another program would.
	Edit func(t *testing.T, content string)
	// Delete takes the content away the way another program would.
	Delete func(t *testing.T)
	// Break makes every further write fail until the returned function is
	// called; nil when the place cannot be broken here.
	Break func(t *testing.T) (mend func())
	// Version changes with every write to the place, whatever is written, and
	// with nothing else.
	Version func(t *testing.T) string
}

// Patience is how long the suite waits for an event that has to come.
const Patience = 10 * time.Second

// Run runs the suite. fresh makes a new place for each of its tests.
func Run(t *testing.T, fresh func(t *testing.T) Harness) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"a written token is read back", roundTrip},
		{"unchanged content is not rewritten (vault#32031)", idempotent},
		{"a newer generation replaces the older", overwrites},
		{"a foreign content is put right", foreign},
		{"a done context writes nothing", cancelled},
		{"concurrent writes end with one complete content", concurrent},
		{"a reader never sees half a token (teleport#25462)", whole},
		{"Check changes nothing", checks},
		{"Stage shows nothing before publish", stages},
		{"discard leaves the old content", discards},
		{"drift is reported and repaired", drifts},
		{"own writes are no drift", ownWrites},
		{"Remove takes the content away", removes},
		{"errors hold no secret and keep the old content", secretless},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, fresh(t)) })
	}
}

// Token is a token of a generation, as the suite writes it.
func Token(generation uint64) token.Token {
	issued := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(generation) * time.Minute)
	return token.Token{
		Generation:  generation,
		AccessToken: token.NewSecret(access(generation)),
		TokenType:   "Bearer",
		Scope:       "a b",
		IssuedAt:    issued,
		ExpiresAt:   issued.Add(time.Hour),
	}
}

// access is long enough to be written in more than one piece by a sink that
// writes in pieces, and its length differs from generation to generation.
func access(generation uint64) string {
	letter := string(rune('a' + generation%26))
	return "canary-" + strings.Repeat(letter, 3000+int(generation%100))
}

func roundTrip(t *testing.T, h Harness) {
	if got, ok := h.Read(t); ok {
		t.Fatalf("a fresh place holds %d bytes", len(got))
	}
	write(t, h, 1, true)
	holds(t, h, 1)
}

func idempotent(t *testing.T, h Harness) {
	write(t, h, 1, true)
	before := h.Version(t)
	write(t, h, 1, false)
	if after := h.Version(t); after != before {
		t.Errorf("the place was written to: %s, before %s", after, before)
	}
}

func overwrites(t *testing.T, h Harness) {
	for g := uint64(1); g <= 5; g++ {
		write(t, h, g, true)
		holds(t, h, g)
	}
}

func foreign(t *testing.T, h Harness) {
	h.Edit(t, access(2))
	write(t, h, 1, true)
	holds(t, h, 1)
	h.Edit(t, access(1)[1:]+"x") // of the same length
	write(t, h, 1, true)
	holds(t, h, 1)
	h.Delete(t)
	write(t, h, 1, true)
	holds(t, h, 1)
}

func cancelled(t *testing.T, h Harness) {
	write(t, h, 1, true)
	cause := errors.New("the test is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	changed, err := h.Sink.Write(ctx, Token(2))
	if changed || !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, %v; want the cause of the cancellation", changed, err)
	}
	holds(t, h, 1)
}

func concurrent(t *testing.T, h Harness) {
	var wg sync.WaitGroup
	for g := uint64(1); g <= 16; g++ {
		wg.Go(func() {
			if _, err := h.Sink.Write(t.Context(), Token(g)); err != nil {
				t.Errorf("Write of generation %d: %v", g, err)
			}
		})
	}
	wg.Wait()
	got, _ := h.Read(t)
	for g := uint64(1); g <= 16; g++ {
		if got == access(g) {
			return
		}
	}
	t.Errorf("the place holds %d bytes that nobody wrote", len(got))
}

func whole(t *testing.T, h Harness) {
	write(t, h, 1, true)
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(done)
		for g := uint64(2); g <= 60; g++ {
			if _, err := h.Sink.Write(t.Context(), Token(g)); err != nil {
				t.Errorf("Write of generation %d: %v", g, err)
			}
		}
	})
	valid := map[string]bool{}
	for g := uint64(1); g <= 60; g++ {
		valid[access(g)] = true
	}
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		if got, ok := h.Read(t); !ok || !valid[got] {
			t.Errorf("a reader saw %d bytes that are no token", len(got))
			break
		}
	}
	wg.Wait()
}

func write(t *testing.T, h Harness, generation uint64, changed bool) {
	t.Helper()
	got, err := h.Sink.Write(t.Context(), Token(generation))
	if err != nil {
		t.Fatalf("Write of generation %d: %v", generation, err)
	}
	if got != changed {
		t.Fatalf("Write of generation %d: changed = %v, want %v", generation, got, changed)
	}
}

func holds(t *testing.T, h Harness, generation uint64) {
	t.Helper()
	got, ok := h.Read(t)
	if !ok {
		t.Fatalf("the place holds nothing, want generation %d", generation)
	}
	if got != access(generation) {
		t.Fatalf("the place holds %d other bytes than generation %d", len(got), generation)
	}
}
