package kubernetes

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

	"golang.org/x/sys/unix"
)

// tools are the Go modules' commands that a cluster needs, by the names that
// "go tool" gives them.
type tools struct {
	etcd, apiserver string
}

func buildTools(ctx context.Context) (t tools, err error) {
	if t.etcd, err = Tool(ctx, "server"); err != nil {
		return tools{}, err
	}
	t.apiserver, err = Tool(ctx, "kube-apiserver")
	return t, err
}

// Tool returns the path of a command that the module test/kubernetes names as a
// tool: server (which is etcd), kube-apiserver or kustomize. The first time, the
// API server takes some six minutes on two cores; then it is kept in the user's
// cache directory, under the hash of what it is made of. Of several processes
// one builds, and the others wait for it.
func Tool(ctx context.Context, name string) (string, error) {
	module, err := toolModule()
	if err != nil {
		return "", err
	}
	kept, err := keptPath(module, name)
	if err != nil {
		return "", err
	}
	unlock, err := lock(ctx, filepath.Join(filepath.Dir(kept), "kubernetes.lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(kept); err == nil {
		return kept, nil
	}
	built, err := build(ctx, module, name)
	if err != nil {
		return "", err
	}
	// Go trims its build cache, a link of our own stays.
	if err := os.Link(built, kept); err != nil && !errors.Is(err, fs.ErrExist) {
		return built, nil // on another file system: Go's own copy is as good
	}
	return kept, nil
}

// build has the go command build a tool and print where it is.
func build(ctx context.Context, module, name string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "-C", module, "tool", "-n", name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// keptPath names a tool by its sources and by the compiler.
func keptPath(module, name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	sum := sha256.New()
	for _, input := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, input))
		if err != nil {
			return "", fmt.Errorf("read what tools are made of: %w", err)
		}
		sum.Write(content)
	}
	sum.Write([]byte(runtime.Version() + runtime.GOARCH))
	dir := filepath.Join(cache, "tokend-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a place for tools: %w", err)
	}
	return filepath.Join(dir, name+"-"+hex.EncodeToString(sum.Sum(nil)[:8])), nil
}

// toolModule finds test/kubernetes from the directory that a test runs in.
func toolModule() (string, error) {
	root, err := Root()
	return filepath.Join(root, "test", "kubernetes"), err
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

// lock takes a lock file, waiting for whoever has it. It ends with the process.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock: %w", err)
	}
	if err := flock(ctx, file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("wait for another build: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

func flock(ctx context.Context, file *os.File) error {
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		if err := pause(ctx); err != nil {
			return err
		}
	}
}
