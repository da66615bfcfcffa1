package file

import (
	"errors"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxIdle  = 64              // directories kept open while nobody writes to them
	idleTime = 5 * time.Second // and for how long, so that a file system can be unmounted
)

// shared is what the file sinks of a process have in common.
type shared struct {
	dirs    *dirs
	disks   disks
	owners  owners
	monitor *Monitor // nil without one
}

func newShared(idle int) *shared {
	s := &shared{}
	s.dirs = &dirs{disks: &s.disks, keep: idle, open: map[string]*dir{}, swept: map[string]struct{}{}}
	return s
}

// dirs holds the directories that are in use or were a moment ago. No lock is
// held while the disk is waited for: a file system that hangs stops nobody who
// writes to another.
type dirs struct {
	disks *disks

	mu    sync.Mutex
	keep  int // idle directories that stay open
	open  map[string]*dir
	swept map[string]struct{} // paths whose stale temporary files are gone
}

// dir is an open directory. It stays the same directory whatever happens to its
// path.
type dir struct {
	of     *dirs
	path   string
	root   *os.Root
	handle *os.File // of the same directory
	fd     int      // of handle
	id     identity
	disk   *disk

	users   int       // guarded by of.mu
	dropped bool      // guarded by of.mu; no longer in of.open
	used    time.Time // guarded by of.mu; when users fell to 0

	group group

	// names is held to make or replace a name. The kernel lets one thread at a time
	// do that in a directory, and has the others spin.
	names sync.Mutex
}

// acquire opens the directory, making it and its parents with mode where they are
// missing. The caller releases it, and asks current before it relies on the
// directory being at the path still.
func (ds *dirs) acquire(path string, mode fs.FileMode) (*dir, error) {
	if d := ds.take(path); d != nil {
		return d, nil
	}
	d, err := ds.find(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeAll(path, mode); err != nil {
			return nil, err
		}
		d, err = ds.find(path)
	}
	return d, err
}

// find opens the directory that stands at the path now.
func (ds *dirs) find(path string) (*dir, error) {
	if d := ds.take(path); d != nil {
		if d.current() {
			return d, nil
		}
		d.drop()
		d.release()
	}
	d, err := openDir(path)
	if err != nil {
		return nil, err
	}
	d.of, d.disk = ds, ds.disks.get(d.id.dev, d.fd)
	d, first := ds.put(d)
	if first {
		d.sweep()
	}
	return d, nil
}

func (ds *dirs) take(path string) *dir {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	d := ds.open[path]
	if d != nil {
		d.users++
	}
	return d
}

// put enters a directory, or returns the one that another caller entered
// meanwhile. first reports that nobody has swept this path yet.
func (ds *dirs) put(d *dir) (kept *dir, first bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if other := ds.open[d.path]; other != nil && other.id.sameFile(d.id) {
		d.close()
		d = other
	} else {
		if other != nil {
			other.leave()
		}
		ds.open[d.path] = d
	}
	d.users++
	_, swept := ds.swept[d.path]
	ds.swept[d.path] = struct{}{}
	return d, !swept
}

// expire closes what was idle since before the given instant.
func (ds *dirs) expire(before time.Time) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for _, d := range ds.open {
		if d.users == 0 && !d.used.After(before) {
			d.leave()
		}
	}
}

// shut closes what is idle, and from now on keeps nothing that is.
func (ds *dirs) shut() {
	ds.mu.Lock()
	ds.keep = 0
	ds.mu.Unlock()
	ds.expire(time.Now())
}

func openDir(path string) (*dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	handle, err := root.Open(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	d := &dir{path: path, root: root, handle: handle, fd: int(handle.Fd())}
	if d.id, err = identifyFile(d.fd); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// current reports whether the path still leads to this directory.
func (d *dir) current() bool {
	id, err := identifyAt(unix.AT_FDCWD, d.path, 0)
	return err == nil && id.sameFile(d.id)
}

// moved turns an error that comes of a directory which was deleted or swapped
// into errMoved, after which nobody gets this directory any more.
func (d *dir) moved(err error) error {
	if !errors.Is(err, fs.ErrNotExist) && d.current() {
		return err
	}
	d.drop()
	return errMoved
}

// identify looks at a name in the directory, not following a link.
func (d *dir) identify(name string) (identity, error) {
	return identifyAt(d.fd, name, unix.AT_SYMLINK_NOFOLLOW)
}

// rename replaces a name. What stood there is kept open where that spares a wait;
// the caller frees it.
func (d *dir) rename(from, to string) (kept int, err error) {
	kept = -1
	if d.disk.shares { // a network file system would give what is kept another name first
		kept = d.disk.freer.keep(d, to)
	}
	d.names.Lock()
	defer d.names.Unlock()
	return kept, renameAt(d.fd, from, to)
}

// sync makes the renames that happened before it durable.
func (d *dir) sync() error { return d.group.do(func() error { return fsync(d.fd) }) }

func (d *dir) release() {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.users--
	if d.users > 0 {
		return
	}
	d.used = time.Now()
	switch {
	case d.dropped:
		d.close()
	case len(d.of.open) > d.of.keep:
		d.leave()
	}
}

func (d *dir) drop() {
	d.of.mu.Lock()
	defer d.of.mu.Unlock()
	d.leave()
}

// leave takes the directory out of the map and closes it with its last user. The
// lock is held.
func (d *dir) leave() {
	if d.dropped {
		return
	}
	d.dropped = true
	delete(d.of.open, d.path)
	if d.users == 0 {
		d.close()
	}
}

func (d *dir) close() {
	_ = d.handle.Close() // nothing was written through it
	_ = d.root.Close()
}
