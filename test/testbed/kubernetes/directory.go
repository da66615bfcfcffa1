package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const directoryPrefix = "tokend-kube-"

// newDirectory makes a place for a cluster's data, below a short path because of
// its unix sockets. It is locked for as long as this process lives.
func newDirectory() (string, *os.File, error) {
	dir, err := os.MkdirTemp("", directoryPrefix)
	if err != nil {
		return "", nil, fmt.Errorf("make a directory for the cluster: %w", err)
	}
	fresh := filepath.Join(dir, "lock.new")
	file, err := os.OpenFile(fresh, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return dir, nil, fmt.Errorf("make the cluster's lock: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		return dir, file, fmt.Errorf("lock the cluster's directory: %w", err)
	}
	// By this name it is locked from the first instant on, so that no sweep of
	// another process takes it for abandoned.
	if err := os.Rename(fresh, filepath.Join(dir, "lock")); err != nil {
		return dir, file, fmt.Errorf("name the cluster's lock: %w", err)
	}
	return dir, file, nil
}

// sweep removes the directories of clusters whose process was killed.
func sweep(parent string) error {
	locks, err := filepath.Glob(filepath.Join(parent, directoryPrefix+"*", "lock"))
	if err != nil {
		return fmt.Errorf("look for abandoned clusters: %w", err)
	}
	for _, path := range locks {
		if abandoned(path) {
			_ = os.RemoveAll(filepath.Dir(path)) // another process may be sweeping too
		}
	}
	return nil
}

func abandoned(lock string) bool {
	file, err := os.OpenFile(lock, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }()
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
