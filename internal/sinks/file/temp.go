package file

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
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
func (d *dir) createTemp() (fd int, name string, err error) {
	for range 100 {
		name = tempName(rand.Uint64())
		d.names.Lock()
		fd, err = openAt(d.fd, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, uint32(tempMode))
		d.names.Unlock()
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return -1, "", err
		}
		// A file system without locks has no sweeping of other processes either.
		_ = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		return fd, name, nil
	}
	return -1, "", err
}

func tempName(n uint64) string {
	digits := strconv.FormatUint(n, 16)
	return tempPrefix + strings.Repeat("0", tempDigits-len(digits)) + digits
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
	fd, err := openAt(d.fd, name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd) //nolint:errcheck // it was only looked at
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = unlinkAt(d.fd, name)
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
