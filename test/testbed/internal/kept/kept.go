// Package kept builds servers once and keeps them in the user's cache directory,
// under the hash of what they are made of.
package kept

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// Binary is a program that takes minutes to build.
type Binary struct {
	Name string // of the file; the hash follows
	Lock string // of several processes one builds what has this name, and the others wait for it

	Sources func(io.Writer) error                          // writes what the hash is of
	Build   func(ctx context.Context, target string) error // makes the file
}

// Path returns where the binary is, and builds it where it is not.
func (b Binary) Path(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	dir := filepath.Join(cache, "tokend-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a place for what is built: %w", err)
	}
	sum := sha256.New()
	if err := b.Sources(sum); err != nil {
		return "", fmt.Errorf("read what %s is made of: %w", b.Name, err)
	}
	unlock, err := lock(ctx, filepath.Join(dir, b.Lock+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, b.Name+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, b.build(ctx, path)
}

func (b Binary) build(ctx context.Context, path string) error {
	half := path + ".new"
	_ = os.Remove(half) // of a build that was killed
	if err := b.Build(ctx, half); err != nil {
		return fmt.Errorf("build %s: %w", b.Name, err)
	}
	if err := os.Rename(half, path); err != nil {
		return fmt.Errorf("keep %s: %w", b.Name, err)
	}
	return nil
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

// Root returns the repository's root, found upwards from the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	main := regexp.MustCompile(`(?m)^module github\.com/tokend-project/tokend$`)
	for ; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && main.Match(content) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("the working directory is not in tokend's repository")
		}
	}
}
