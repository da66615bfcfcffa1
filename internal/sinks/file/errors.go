package file

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	errMoved     = errors.New("its directory was deleted or replaced meanwhile")
	errDirectory = errors.New("there is a directory at this path; remove it or choose another path")
	errFIFO      = errors.New("there is a FIFO at this path, which cannot be replaced in one step; remove it, and let the consumer read a regular file")
	errSpecial   = errors.New("there is a device or a socket at this path; remove it or choose another path")
)

// fail puts an error into words that name the target and not the temporary file,
// which is gone by the time somebody looks for it.
func (s *Sink) fail(doing string, err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("%s %s: %w", doing, s.path, err)
	}
	if hint := advice(doing, errno); hint != "" {
		return fmt.Errorf("%s %s: %w: %s", doing, s.path, errno, hint)
	}
	return fmt.Errorf("%s %s: %w", doing, s.path, errno)
}

// advice says what a person can do about an errno.
func advice(doing string, errno syscall.Errno) string {
	switch errno {
	case syscall.ENOSPC:
		return "the file system has no room or no inodes left"
	case syscall.EDQUOT:
		return "the disk quota of this user is used up"
	case syscall.EROFS:
		return "the file system is mounted read-only; where systemd does that, name the directory in ReadWritePaths="
	case syscall.EBUSY:
		return "the file is a mount point, which nothing can be renamed over; mount its directory instead of the single file"
	case syscall.ENOTDIR:
		return "a parent of it is not a directory"
	case syscall.EIO:
		return "the disk failed; a new file is tried at the next attempt"
	case syscall.EACCES:
		return "this user may not write to the directory"
	case syscall.EPERM:
		return forbidden(doing)
	}
	return ""
}

func forbidden(doing string) string {
	switch doing {
	case "set the owner of":
		return "only root, or a process with CAP_CHOWN, gives files to others; leave owner out or run with that capability"
	case "replace", "remove":
		return "the file is immutable (chattr +i), or the directory is sticky and the file another user's"
	}
	return "the directory may be immutable (chattr +i)"
}
