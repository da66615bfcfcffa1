package kept

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOneProcessBuildsWhileOthersWait(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithTimeout(t.Context(), 60*time.Millisecond)
	defer cancel()
	if _, err := lock(impatient, path); err == nil {
		t.Fatal("two hold the lock")
	}
	waiting := make(chan error)
	go func() {
		_, err := lock(t.Context(), path)
		waiting <- err
	}()
	unlock()
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
}

func TestABinaryIsBuiltOnceForWhatItIsMadeOf(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	source, builds := "one", 0
	var fails error
	b := Binary{
		Name: "server", Lock: "server",
		Sources: func(sum io.Writer) error { _, err := io.WriteString(sum, source); return err },
		Build: func(_ context.Context, target string) error {
			builds++
			if err := os.WriteFile(target, []byte(source), 0o600); err != nil {
				return err
			}
			return fails
		},
	}
	fails = errors.New("killed half-way")
	if _, err := b.Path(t.Context()); !errors.Is(err, fails) {
		t.Errorf("Path: %v", err)
	}
	fails = nil
	for _, step := range []struct {
		source string
		builds int
	}{{"one", 2}, {"one", 2}, {"two", 3}, {"one", 3}} {
		source = step.source
		path, err := b.Path(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if content, err := os.ReadFile(path); err != nil || string(content) != source || builds != step.builds {
			t.Errorf("%q (%v) after %d builds, want %q after %d", content, err, builds, source, step.builds)
		}
	}
}
