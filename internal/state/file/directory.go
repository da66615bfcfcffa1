package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	databaseName = "tokend.db"
	newName      = "tokend.db.new"
	lockName     = "tokend.lock"

	lockWait = time.Second
	lockStep = 20 * time.Millisecond
)

// directory is the state directory, owned.
type directory struct {
	root *os.Root
	lock *os.File
}

func openDirectory(ctx context.Context, path string, log *slog.Logger) (*directory, error) {
	if path == "" {
		return nil, errors.New("opening the state directory: no path is given")
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("creating the state directory: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("opening the state directory: %w", err)
	}
	d := &directory{root: root}
	if err := d.claim(ctx, log); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *directory) claim(ctx context.Context, log *slog.Logger) error {
	info, err := d.root.Stat(".")
	if err != nil {
		return fmt.Errorf("reading the state directory: %w", err)
	}
	// Whoever can write here can put an older database, and with it spent
	// refresh tokens, in place of ours.
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("state directory %s is writable by others (mode %04o): chmod go-w it", d.root.Name(), mode)
	}
	if err := d.acquire(ctx); err != nil {
		return err
	}
	for _, name := range []string{lockName, databaseName} {
		if err := d.keepPrivate(name, log); err != nil {
			return err
		}
	}
	return nil
}

// acquire takes the lock. It is on a file of its own, which is never renamed or
// removed: one on the database would be lost when that is replaced.
func (d *directory) acquire(ctx context.Context) error {
	f, err := d.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("opening the lock of the state directory: %w", err)
	}
	d.lock = f
	ctx, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("locking state directory %s: %w", d.root.Name(), err)
		}
		select {
		case <-ctx.Done():
			return d.locked()
		case <-time.After(lockStep):
		}
	}
	// The process id is for people. That it could not be written, say on a full
	// disk, must not keep live tokens from being read.
	if f.Truncate(0) == nil {
		_, _ = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	}
	return nil
}

func (d *directory) locked() error {
	pid, _ := io.ReadAll(io.NewSectionReader(d.lock, 0, 32))
	owner := ""
	if p := strings.TrimSpace(string(pid)); p != "" {
		owner = " (process " + p + ")"
	}
	return fmt.Errorf("opening state directory %s: %w%s", d.root.Name(), ErrLocked, owner)
}

// keepPrivate takes the permissions of others off a file of ours.
func (d *directory) keepPrivate(name string, log *slog.Logger) error {
	info, err := d.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the state directory: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", d.path(name))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		log.Warn("state file was open to others; made private", "path", d.path(name), "mode", fmt.Sprintf("%04o", mode))
		if err := d.root.Chmod(name, 0o600); err != nil {
			return fmt.Errorf("making the state private: %w", err)
		}
	}
	return nil
}

func (d *directory) path(name string) string { return filepath.Join(d.root.Name(), name) }

// sync makes renames in the directory durable.
func (d *directory) sync() error {
	f, err := d.root.Open(".")
	if err != nil {
		return fmt.Errorf("opening the state directory: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("syncing the state directory: %w", err)
	}
	return nil
}

// remove removes a file if it is there.
func (d *directory) remove(name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing a file of the state: %w", err)
	}
	return nil
}

func (d *directory) close() error {
	var err error
	if d.lock != nil {
		err = d.lock.Close() // gives up the lock
	}
	return errors.Join(err, d.root.Close())
}
