package file

import (
	"errors"

	"golang.org/x/sys/unix"
)

// identity tells a file from every other and from itself after a change: any
// write, chmod or chown moves its ctime, which nobody can set back.
type identity struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // nanoseconds
	mode         uint32
	uid, gid     uint32
}

func (id identity) exists() bool { return id.mode != 0 }

func (id identity) sameFile(other identity) bool {
	return id.dev == other.dev && id.ino == other.ino
}

func newIdentity(st *unix.Stat_t) identity {
	return identity{
		dev: st.Dev, ino: st.Ino,
		size:  st.Size,
		mtime: st.Mtim.Nano(), ctime: st.Ctim.Nano(),
		mode: st.Mode,
		uid:  st.Uid, gid: st.Gid,
	}
}

func identifyFile(fd int) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return identity{}, err
	}
	return newIdentity(&st), nil
}

// identifyAt looks at name in the open directory, or anywhere when dirfd is
// unix.AT_FDCWD. What is not there has the zero identity.
func identifyAt(dirfd int, name string, flags int) (identity, error) {
	var st unix.Stat_t
	err := unix.Fstatat(dirfd, name, &st, flags)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return identity{}, nil
	}
	if err != nil {
		return identity{}, err
	}
	return newIdentity(&st), nil
}
