package file

import (
	"bytes"
	"context"
	"hash/fnv"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/tokend-project/tokend/internal/token"
)

// staged is a content that is on disk under a temporary name, or that was found
// in place already.
type staged struct {
	sink *Sink
	dir  *dir
	fd   int      // of the temporary file; -1 when the target already held the content
	name string   // of the temporary file; empty once it is renamed or removed
	was  identity // the matching target
	sum  uint64   // the digest of the content
	kept int      // the file that was replaced, to be freed; -1 for none
}

func (s *Sink) stage(ctx context.Context, t token.Token) (*staged, error) {
	if ctx.Err() != nil {
		return nil, s.fail("write", context.Cause(ctx))
	}
	content, err := s.format.Render(t)
	if err != nil {
		return nil, s.fail("write", err)
	}
	own, err := s.shared.owners.resolve(s.owner, s.group)
	if err != nil {
		return nil, s.fail("write", err)
	}
	d, err := s.shared.dirs.acquire(filepath.Dir(s.path), s.dirMode)
	if err != nil {
		return nil, s.fail("open the directory of", err)
	}
	st := &staged{sink: s, dir: d, fd: -1, kept: -1, sum: digest(content)}
	if err := st.prepare(content, own); err != nil {
		st.discard()
		return nil, err
	}
	return st, nil
}

// same reports whether there is nothing to do.
func (st *staged) same() bool { return st.fd < 0 }

func (st *staged) prepare(content []byte, own ids) error {
	s := st.sink
	found, err := s.inspect(st.dir)
	if err != nil {
		return err
	}
	if found.exists() && !s.differs(found, st.sum) && s.matches(st.dir, found, content, own) {
		if !st.dir.current() {
			return s.fail("look at", st.dir.moved(errMoved))
		}
		st.was = found
		return nil
	}
	err, syncErr := st.dir.disk.do(func() (int, error) { return st.fill(content, own) }, func() error { return fsync(st.fd) })
	if err == nil && syncErr != nil {
		err = s.fail("sync", syncErr)
	}
	return err
}

// fill makes the temporary file and gives it its content, then its owner, then its
// mode: the other way round, the former owner could read a group's content for a
// moment.
func (st *staged) fill(content []byte, own ids) (fd int, err error) {
	s := st.sink
	if st.fd, st.name, err = st.dir.createTemp(); err != nil {
		return -1, s.fail("create a temporary file beside", st.dir.moved(err))
	}
	if err := writeAll(st.fd, content); err != nil {
		return -1, s.fail("write", err)
	}
	if own.wanted() {
		if err := unix.Fchown(st.fd, own.uid, own.gid); err != nil {
			return -1, s.fail("set the owner of", err)
		}
	}
	if s.mode != tempMode { // the umask has no say in a chmod
		if err := unix.Fchmod(st.fd, uint32(s.mode)); err != nil {
			return -1, s.fail("set the mode of", err)
		}
	}
	return st.fd, nil
}

// publish renames the temporary file over the target and returns when the
// directory is durable too.
func (st *staged) publish(ctx context.Context) (bool, error) {
	s := st.sink
	if ctx.Err() != nil {
		return false, s.fail("write", context.Cause(ctx))
	}
	if st.same() {
		s.mu.Lock()
		s.wrote, s.sum = st.was, st.sum
		s.mu.Unlock()
		return false, nil
	}
	err, syncErr := st.dir.disk.do(func() (int, error) { return st.dir.fd, st.replace() }, st.dir.sync)
	switch {
	case err != nil:
		return false, err
	case syncErr != nil:
		return true, s.fail("sync the directory of", syncErr)
	}
	return true, nil
}

func (st *staged) replace() error {
	s := st.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if !st.dir.current() {
		return s.fail("replace", st.dir.moved(errMoved))
	}
	var err error
	if st.kept, err = st.dir.rename(st.name, filepath.Base(s.path)); err != nil {
		return s.fail("replace", st.dir.moved(err))
	}
	st.name = ""
	s.moves++
	// The open file, not the name: what stands at the name may be another's
	// already, and must then look foreign.
	id, err := identifyFile(st.fd)
	if err != nil {
		return s.fail("look at", err)
	}
	s.wrote, s.sum = id, st.sum
	return nil
}

// discard removes the temporary file, if it still is one, and lets go of the
// directory. It may be called again.
func (st *staged) discard() {
	if st.dir == nil {
		return
	}
	if st.name != "" {
		_ = unlinkAt(st.dir.fd, st.name) // what stays is swept by the next process
		st.name = ""
	}
	if st.fd >= 0 {
		_ = unix.Close(st.fd) // it was synced, so there is nothing left to fail
	}
	st.dir.disk.freer.free(st.kept)
	st.dir.release()
	st.dir = nil
}

// inspect looks at the target and refuses what a rename must not replace or
// cannot.
func (s *Sink) inspect(d *dir) (identity, error) {
	found, err := d.identify(filepath.Base(s.path))
	if err != nil {
		return identity{}, s.fail("look at", err)
	}
	switch found.mode & unix.S_IFMT {
	case 0, unix.S_IFREG, unix.S_IFLNK:
		return found, nil
	case unix.S_IFDIR:
		return identity{}, s.fail("write", errDirectory)
	case unix.S_IFIFO:
		return identity{}, s.fail("write", errFIFO)
	}
	return identity{}, s.fail("write", errSpecial)
}

// differs reports whether found is what this sink wrote last, with another
// content: then there is nothing to be learnt by reading it. A digest that
// collides, or a change that left no trace, only costs the reading or a write.
func (s *Sink) differs(found identity, sum uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrote == found && s.sum != sum
}

func digest(content []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(content)
	return h.Sum64()
}

// matches compares the target with what would be written. A file that cannot be
// read does not match.
func (s *Sink) matches(d *dir, found identity, content []byte, own ids) bool {
	if found.mode != unix.S_IFREG|uint32(s.mode) || found.size != int64(len(content)) || !own.match(found) {
		return false
	}
	fd, err := openAt(d.fd, filepath.Base(s.path), unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd) //nolint:errcheck // it was only read
	if id, err := identifyFile(fd); err != nil || id != found {
		return false
	}
	held := make([]byte, len(content)+1)
	n, err := readUpTo(fd, held)
	return err == nil && bytes.Equal(held[:n], content)
}
