package sinktest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/sinks"
)

func checks(t *testing.T, h Harness) {
	c := optional[sinks.Checker](t, h)
	for _, held := range []bool{false, true} {
		if held {
			write(t, h, 1, true)
		}
		before := h.Version(t)
		if err := c.Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		if after := h.Version(t); after != before {
			t.Errorf("Check changed the place: %s, before %s", after, before)
		}
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Check(done); err == nil {
		t.Error("Check with a done context returned nil")
	}
}

func stages(t *testing.T, h Harness) {
	s := optional[sinks.Stager](t, h)
	write(t, h, 1, true)
	publish, discard, err := s.Stage(t.Context(), Token(2))
	if err != nil {
		t.Fatalf("Stage: %v", err)
	}
	defer discard()
	holds(t, h, 1)
	if changed, err := publish(t.Context()); err != nil || !changed {
		t.Fatalf("publish = %v, %v", changed, err)
	}
	discard()
	holds(t, h, 2)

	publish, discard, err = s.Stage(t.Context(), Token(2))
	if err != nil {
		t.Fatalf("Stage of what is held: %v", err)
	}
	defer discard()
	if changed, err := publish(t.Context()); err != nil || changed {
		t.Errorf("publish of what is held = %v, %v; want no change", changed, err)
	}
}

func discards(t *testing.T, h Harness) {
	s := optional[sinks.Stager](t, h)
	write(t, h, 1, true)
	before := h.Version(t)
	_, discard, err := s.Stage(t.Context(), Token(2))
	if err != nil {
		t.Fatalf("Stage: %v", err)
	}
	discard()
	discard()
	holds(t, h, 1)
	if after := h.Version(t); after != before {
		t.Errorf("a discarded stage changed the place: %s, before %s", after, before)
	}
}

func drifts(t *testing.T, h Harness) {
	notices := watch(t, h)
	write(t, h, 1, true)
	for _, change := range []struct {
		name string
		do   func()
	}{
		{"edited", func() { h.Edit(t, "somebody else's") }},
		{"deleted", func() { h.Delete(t) }},
		{"edited again", func() { h.Edit(t, "once more") }},
	} {
		drain(notices)
		change.do()
		await(t, notices, change.name)
		write(t, h, 1, true)
		holds(t, h, 1)
	}
}

// ownWrites ends with a foreign change, whose notice comes after all that the own
// writes may have caused.
func ownWrites(t *testing.T, h Harness) {
	notices := watch(t, h)
	for g := uint64(1); g <= 20; g++ {
		write(t, h, g, true)
	}
	select {
	case <-notices:
		t.Error("an own write was reported as drift")
	case <-time.After(300 * time.Millisecond): // nothing to await: nothing is to come
	}
	h.Edit(t, "somebody else's")
	await(t, notices, "edited")
}

func removes(t *testing.T, h Harness) {
	r := optional[sinks.Remover](t, h)
	if err := r.Remove(t.Context()); err != nil {
		t.Errorf("Remove of what is not there: %v", err)
	}
	write(t, h, 1, true)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Remove(done); err == nil {
		t.Error("Remove with a done context returned nil")
	}
	holds(t, h, 1)
	if err := r.Remove(t.Context()); err != nil {
		t.Errorf("Remove: %v", err)
	}
	if _, ok := h.Read(t); ok {
		t.Error("Remove left the content")
	}
	write(t, h, 1, true)
}

func secretless(t *testing.T, h Harness) {
	if h.Break == nil {
		t.Skip("the place cannot be broken here")
	}
	write(t, h, 1, true)
	mend := h.Break(t)
	_, err := h.Sink.Write(t.Context(), Token(2))
	mend()
	if err == nil {
		t.Fatal("Write to a broken place returned nil")
	}
	if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "cccccccc") {
		t.Errorf("the error holds the token: %v", err)
	}
	holds(t, h, 1)
	write(t, h, 2, true)
}

func optional[I any](t *testing.T, h Harness) I {
	t.Helper()
	i, ok := h.Sink.(I)
	if !ok {
		t.Skipf("the sink is no %T", new(I))
	}
	return i
}

func watch(t *testing.T, h Harness) <-chan struct{} {
	t.Helper()
	notices := make(chan struct{}, 1)
	stop, err := optional[sinks.Watcher](t, h).Watch(func() {
		select {
		case notices <- struct{}{}:
		default:
		}
	})
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	t.Cleanup(stop)
	return notices
}

func drain(c <-chan struct{}) {
	select {
	case <-c:
	default:
	}
}

func await(t *testing.T, c <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(Patience):
		t.Fatalf("no drift was reported after the content was %s", what)
	}
}
