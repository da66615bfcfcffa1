package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Binary returns the path of the server's binary. The first time it takes some
// two minutes on two cores; then it is kept in the user's cache directory, under
// the hash of what it is made of. Of several processes one builds, and the
// others wait for it.
func Binary(ctx context.Context) (string, error) {
	module, err := source()
	if err != nil {
		return "", err
	}
	kept, err := keptPath(module)
	if err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(filepath.Dir(kept), "vault.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(kept); err == nil {
		return kept, nil
	}
	return kept, build(ctx, module, kept)
}

func build(ctx context.Context, module, target string) error {
	half := target + ".new"
	cmd := exec.CommandContext(ctx, "go", "-C", module, "build", "-buildvcs=false", "-o", half, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build Vault: %w\n%s", err, bytes.TrimSpace(out))
	}
	if err := os.Rename(half, target); err != nil {
		return fmt.Errorf("keep Vault: %w", err)
	}
	return nil
}

// keptPath names the binary by its sources and by the compiler.
func keptPath(module string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	sum := sha256.New()
	sum.Write([]byte(runtime.Version() + runtime.GOARCH))
	files := os.DirFS(module)
	if err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if strings.HasSuffix(path, ".go") || strings.HasPrefix(d.Name(), "go.") {
			fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		}
		return err
	}); err != nil {
		return "", fmt.Errorf("read what Vault is made of: %w", err)
	}
	dir := filepath.Join(cache, "tokend-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a place for Vault: %w", err)
	}
	return filepath.Join(dir, "vault-"+hex.EncodeToString(sum.Sum(nil)[:8])), nil
}

// source finds test/vault, upwards from the directory that a test runs in.
func source() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	main := regexp.MustCompile(`(?m)^module github\.com/tokend-project/tokend$`)
	for ; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && main.Match(content) {
			return filepath.Join(dir, "test", "vault"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the working directory is not in tokend's repository")
		}
	}
}

// lock takes a lock file, waiting for whoever has it. It ends with the process.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			_ = file.Close()
			return nil, fmt.Errorf("lock the build: %w", err)
		}
		select {
		case <-ctx.Done():
			_ = file.Close()
			return nil, fmt.Errorf("wait for another build: %w", context.Cause(ctx))
		case <-time.After(100 * time.Millisecond): // flock cannot be awaited with a context
		}
	}
}
