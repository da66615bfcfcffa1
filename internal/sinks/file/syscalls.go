package file

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// The functions here reach a name with one component relative to an open
// directory, never following a link, and take plain descriptors: an os.File of
// the same directory's os.Root would ask the poller and fcntl about every regular
// file first, which doubles the system calls of a write.

// retry repeats what a signal interrupted. Network file systems return EINTR
// even where Go asks for restarts.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func openAt(dirfd int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() error {
		fd, err = unix.Openat(dirfd, name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
		return err
	})
	return fd, err
}

func writeAll(fd int, content []byte) error {
	for len(content) > 0 {
		n, err := unix.Write(fd, content)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return io.ErrShortWrite
		}
		content = content[n:]
	}
	return nil
}

// readUpTo reads until buf is full or the file ends.
func readUpTo(fd int, buf []byte) (n int, err error) {
	for n < len(buf) {
		m, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, err
		case m == 0:
			return n, nil
		}
		n += m
	}
	return n, nil
}

func fsync(fd int) error { return retry(func() error { return unix.Fsync(fd) }) }

func unlinkAt(dirfd int, name string) error {
	return retry(func() error { return unix.Unlinkat(dirfd, name, 0) })
}

func renameAt(dirfd int, from, to string) error {
	return retry(func() error { return unix.Renameat(dirfd, from, dirfd, to) })
}
