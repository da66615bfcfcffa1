package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what fits into sockaddr_un beside its NUL, see unix(7).
const maxSocketPath = 107

// probeTimeout bounds the question whether another daemon is alive.
const probeTimeout = time.Second

// listen binds path so that at no instant anybody but its owner (and gid, when
// given) can connect, and so that only a dead daemon's socket is replaced.
//
// The umask belongs to the whole process and can't be set for one bind, so the
// socket is bound inside a fresh directory of mode 0700, given its mode there,
// and renamed to its place.
func listen(ctx context.Context, path string, gid *uint32) (*net.UnixListener, error) {
	dir := filepath.Dir(path)
	if err := prepareDir(dir, gid); err != nil {
		return nil, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := checkFree(ctx, path); err != nil {
		return nil, err
	}
	fresh, err := os.MkdirTemp(dir, ".c")
	if err != nil {
		return nil, fmt.Errorf("create the control socket: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	return bindAndMove(filepath.Join(fresh, "s"), path, gid)
}

func bindAndMove(fresh, path string, gid *uint32) (*net.UnixListener, error) {
	if n := max(len(fresh), len(path)); n > maxSocketPath {
		return nil, fmt.Errorf("create the control socket %s: its path is %d bytes too long for a unix socket; choose a shorter one for control.socket", path, n-maxSocketPath)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("create the control socket: %w", err)
	}
	l.SetUnlinkOnClose(false) // it knows the path it was bound at, not the one it has
	mode := fs.FileMode(0o600)
	if gid != nil {
		mode = 0o660
		err = os.Chown(fresh, -1, int(*gid))
	}
	err = errors.Join(err, os.Chmod(fresh, mode))
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create the control socket: %w", err), l.Close())
	}
	return l, nil
}

// prepareDir creates the socket's directory when it is missing and refuses one
// in which somebody else could put a socket of theirs into ours's place.
func prepareDir(dir string, gid *uint32) error {
	mode := fs.FileMode(0o700)
	if gid != nil {
		mode = 0o750
	}
	if err := os.MkdirAll(dir, mode); err != nil {
		return fmt.Errorf("create the directory of the control socket: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("check the directory of the control socket: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("check the directory of the control socket: %s has no owner", dir)
	}
	own := uint32(os.Geteuid())
	if stat.Uid != own && stat.Uid != 0 {
		return fmt.Errorf("the directory of the control socket, %s, belongs to user %d: it must belong to user %d or root", dir, stat.Uid, own)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the directory of the control socket, %s, can be written by others (mode %04o): take that right away with chmod go-w, or choose another control.socket", dir, info.Mode().Perm())
	}
	if gid != nil && stat.Uid == own {
		return openToGroup(dir, info.Mode().Perm(), stat.Gid, *gid)
	}
	return nil
}

// openToGroup lets the group pass through a directory of ours.
func openToGroup(dir string, mode fs.FileMode, has, want uint32) error {
	if mode&0o001 != 0 || (has == want && mode&0o010 != 0) {
		return nil
	}
	if err := os.Chown(dir, -1, int(want)); err != nil {
		return fmt.Errorf("give the directory of the control socket to its group: %w", err)
	}
	if err := os.Chmod(dir, mode|0o050); err != nil {
		return fmt.Errorf("open the directory of the control socket to its group: %w", err)
	}
	return nil
}

// lockDir keeps two daemons from replacing each other's socket between the look
// and the rename.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the directory of the control socket: %w", err)
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the directory of the control socket: %w", err), d.Close())
	}
	return func() { _ = d.Close() }, nil
}

// checkFree reports an error unless path is missing or the socket of a daemon
// that is gone.
func checkFree(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("check the control socket: %w", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is in the way of the control socket: it is no socket; remove it or choose another control.socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err == nil {
		err = conn.Close()
	}
	return errors.Join(&InUseError{Socket: path}, err)
}

// InUseError says that another daemon answers at the control socket.
type InUseError struct{ Socket string }

func (e *InUseError) Error() string {
	return fmt.Sprintf("another daemon listens on the control socket %s: stop it, or give this one a control.socket of its own", e.Socket)
}
