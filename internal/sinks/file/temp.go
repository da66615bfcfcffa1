package file

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	tempPrefix = ".tokend-tmp-"
	tempDigits = 16
	tempMode   = fs.FileMode(0o600)
)

// isTemp reports whether a name is one that createTemp gives.
func isTemp(name string) bool {
	digits, ok := strings.CutPrefix(name, tempPrefix)
	return ok && len(digits) == tempDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

// createTemp makes a file that nobody else may read. Its lock says that it is in
// use: it ends with the process, however that ends.
func (d *dir) createTemp() (*os.File, string, error) {
	for range 100 {
		name := fmt.Sprintf("%s%0*x", tempPrefix, tempDigits, rand.Uint64())
		f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, tempMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		// A file system without locks has no sweeping of other processes either.
		_ = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		return f, name, nil
	}
	return nil, "", fs.ErrExist
}

// sweep removes what a killed process left behind: temporary files that nobody
// holds a lock on. What cannot be removed harms nobody and is left alone.
func (d *dir) sweep() {
	handle, err := d.root.Open(".") // a position of its own
	if err != nil {
		return
	}
	defer handle.Close() //nolint:errcheck // it was only read
	for {
		names, err := handle.Readdirnames(1024)
		for _, name := range names {
			if isTemp(name) {
				d.sweepOne(name)
			}
		}
		if err != nil || len(names) == 0 {
			return
		}
	}
}

func (d *dir) sweepOne(name string) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // it was only looked at
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = d.root.Remove(name)
	}
}

// makeAll makes a directory and its missing parents, each with mode whatever the
// umask, and durable in its parent.
func makeAll(path string, mode fs.FileMode) error {
	root, err := os.OpenRoot(path)
	if err == nil {
		return root.Close()
	}
	parent := filepath.Dir(path)
	if !errors.Is(err, fs.ErrNotExist) || parent == path {
		return err
	}
	if err := makeAll(parent, mode); err != nil {
		return err
	}
	if root, err = os.OpenRoot(parent); err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // it was only used to reach its entries
	return makeIn(root, filepath.Base(path), mode)
}

func makeIn(root *os.Root, name string, mode fs.FileMode) error {
	switch err := root.Mkdir(name, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil // another sink was faster
	case err != nil:
		return err
	}
	if err := root.Chmod(name, mode); err != nil {
		return err
	}
	handle, err := root.Open(".")
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // it was only synced
	return handle.Sync()
}
