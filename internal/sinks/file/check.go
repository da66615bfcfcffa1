package file

import (
	"context"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Check implements [sinks.Checker]: the owner exists, the directory can be
// written to (or made), the target is a file or free, and the file system has a
// block and an inode left. A quota shows only when it is hit.
func (s *Sink) Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return s.fail("check", context.Cause(ctx))
	}
	if _, err := s.shared.owners.resolve(s.owner, s.group); err != nil {
		return s.fail("check", err)
	}
	d, err := s.nearest()
	if err != nil {
		return s.fail("check", err)
	}
	defer d.release()
	if d.path == filepath.Dir(s.path) {
		if _, err := s.inspect(d); err != nil {
			return err
		}
		if isMount(d.fd, filepath.Base(s.path)) {
			return s.fail("check", unix.EBUSY)
		}
	}
	if err := d.writable(); err != nil {
		return s.fail("check", err)
	}
	return nil
}

// nearest finds the target's directory, or the parent it would be made in.
func (s *Sink) nearest() (*dir, error) {
	for path := filepath.Dir(s.path); ; path = filepath.Dir(path) {
		id, err := identifyAt(unix.AT_FDCWD, path, 0)
		if err != nil {
			return nil, err
		}
		if id.exists() || path == filepath.Dir(path) {
			return s.shared.dirs.find(path)
		}
	}
}

// writable asks with the effective user, which is the one that writes.
func (d *dir) writable() error {
	if err := unix.Faccessat(d.fd, ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return err
	}
	free := st.Bavail
	if os.Geteuid() == 0 {
		free = st.Bfree // the reserve is for root
	}
	full := st.Blocks > 0 && free == 0
	none := st.Files > 0 && st.Ffree == 0
	if full || none {
		return unix.ENOSPC
	}
	return nil
}

// isMount reports whether something is mounted on the name itself. Kernels that
// do not tell say no; then the rename finds out.
func isMount(dirfd int, name string) bool {
	var st unix.Statx_t
	err := unix.Statx(dirfd, name, unix.AT_SYMLINK_NOFOLLOW, 0, &st)
	return err == nil && st.Attributes_mask&st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
