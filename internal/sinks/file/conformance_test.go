package file_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

func TestConformance(t *testing.T) {
	for _, test := range []struct {
		name  string
		place func(t *testing.T) string
	}{
		{"directory there", func(t *testing.T) string { return t.TempDir() }},
		{"directory to be made", func(t *testing.T) string { return filepath.Join(t.TempDir(), "a", "b") }},
		{"behind a symbolic link", func(t *testing.T) string {
			link := filepath.Join(t.TempDir(), "run")
			must(t, os.Symlink(t.TempDir(), link))
			return link
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) sinktest.Harness {
				return harness(t, filepath.Join(test.place(t), "token"))
			})
		})
	}
}

func harness(t *testing.T, path string) sinktest.Harness {
	s := newSink(t, file.Options{Path: path, Mode: 0o640, Monitor: runMonitor(t)})
	return sinktest.Harness{
		Sink: s,
		Read: func(t *testing.T) (string, bool) { return read(t, path) },
		Edit: func(t *testing.T, content string) {
			must(t, os.MkdirAll(filepath.Dir(path), 0o700))
			must(t, os.WriteFile(path, []byte(content), 0o600))
		},
		Delete:  func(t *testing.T) { must(t, os.Remove(path)) },
		Break:   func(t *testing.T) func() { return breakPath(t, path) },
		Version: func(t *testing.T) string { return version(t, path) },
	}
}

// breakPath puts a directory where the file was.
func breakPath(t *testing.T, path string) func() {
	aside := path + ".aside"
	must(t, os.Rename(path, aside))
	must(t, os.Mkdir(path, 0o700))
	return func() {
		must(t, os.Remove(path))
		must(t, os.Rename(aside, path))
	}
}

func version(t *testing.T, path string) string {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "none"
	}
	must(t, err)
	st := info.Sys().(*syscall.Stat_t)
	return fmt.Sprint(st.Ino, st.Ctim, st.Mtim, st.Mode)
}

func runMonitor(t testing.TB) *file.Monitor {
	t.Helper()
	m, err := file.NewMonitor(slog.New(slog.DiscardHandler))
	must(t, err)
	runs(t, m)
	return m
}

func runs(t testing.TB, m *file.Monitor) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { m.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := m.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func newSink(t *testing.T, o file.Options) *file.Sink {
	t.Helper()
	if o.Format == nil {
		o.Format = format(t, "token")
	}
	s, err := file.New(o)
	must(t, err)
	return s
}

func format(t testing.TB, name string) sinks.Format {
	t.Helper()
	f, err := sinks.NewFormat(name, sinks.FormatOptions{})
	must(t, err)
	return f
}

func read(t *testing.T, path string) (string, bool) {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	must(t, err)
	return string(b), true
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
