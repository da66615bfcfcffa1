package prometheus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// lab builds what the tests run, once.
type lab struct {
	once       sync.Once
	promtool   string
	prometheus string
	tokend     string
	buildDir   string // of tokend
	err        error
}

const root = "../.."

var shared lab

// built returns the lab, or ends the test: with a failure where CI says that
// everything must be there, else without a judgement.
func built(t *testing.T) *lab {
	t.Helper()
	shared.once.Do(func() { shared.err = shared.build(context.Background()) })
	switch {
	case shared.err == nil:
	case os.Getenv("CI") == "true":
		t.Fatal(shared.err)
	default:
		t.Skip(shared.err)
	}
	return &shared
}

// build makes Prometheus and promtool, which are kept in the user's cache, and
// tokend as it is now. Without the discovery of clouds Prometheus is built in a
// few minutes rather than many.
func (l *lab) build(ctx context.Context) error {
	kept, err := keptPath()
	if err != nil {
		return err
	}
	l.promtool, l.prometheus = filepath.Join(kept, "promtool"), filepath.Join(kept, "prometheus")
	if _, err := os.Stat(l.prometheus); err != nil {
		if err := l.buildPrometheus(ctx, kept); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "tokend-")
	if err != nil {
		return fmt.Errorf("make a place for tokend: %w", err)
	}
	l.buildDir, l.tokend = dir, filepath.Join(dir, "tokend")
	return run(ctx, root, "go", "build", "-o", l.tokend, "./cmd/tokend")
}

// buildPrometheus leaves both programs in place, or neither, however many do it
// at once.
func (l *lab) buildPrometheus(ctx context.Context, kept string) error {
	half, err := os.MkdirTemp(filepath.Dir(kept), "prometheus-new-")
	if err != nil {
		return fmt.Errorf("make a place for Prometheus: %w", err)
	}
	defer func() { _ = os.RemoveAll(half) }()
	const module = "github.com/prometheus/prometheus/cmd/"
	if err := run(ctx, ".", "go", "build", "-tags", "remove_all_sd", "-o", half+"/", module+"promtool", module+"prometheus"); err != nil {
		return err
	}
	if err := os.Rename(half, kept); err != nil && !errors.Is(err, fs.ErrExist) { // else another test was quicker
		return fmt.Errorf("keep Prometheus: %w", err)
	}
	return nil
}

// keptPath names the programs by what they are made of and by the compiler.
func keptPath() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, name := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("read what Prometheus is made of: %w", err)
		}
		sum.Write(content)
	}
	dir := filepath.Join(cache, "tokend-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a place for Prometheus: %w", err)
	}
	return filepath.Join(dir, "prometheus-"+hex.EncodeToString(sum.Sum(nil)[:8])), nil
}

func run(ctx context.Context, dir string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.buildDir != "" {
		_ = os.RemoveAll(shared.buildDir)
	}
	os.Exit(code)
}
