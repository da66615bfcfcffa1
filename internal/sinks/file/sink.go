package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

// Options describe one file.
type Options struct {
	Path    string      // absolute
	Mode    fs.FileMode // permission bits of the file; 0 stands for 0600
	DirMode fs.FileMode // permission bits of parents that have to be made; 0 stands for 0700
	Owner   string      // name or number; empty leaves the owner to the system
	Group   string      // name or number; empty leaves the group to the system
	Format  sinks.Format
	Monitor *Monitor // shared by all files of the process; nil is for a few files that nobody watches
}

// Sink keeps the current generation of a token in a file. It implements
// [sinks.Sink], [sinks.Stager], [sinks.Checker], [sinks.Remover] and, with a
// Monitor, [sinks.Watcher].
//
// An error of Write wraps the system's errno, so that errors.Is(err,
// syscall.ENOSPC) and its like work.
type Sink struct {
	path         string
	owner, group string
	format       sinks.Format
	shared       *shared
	mode         fs.FileMode
	dirMode      fs.FileMode

	mu    sync.Mutex // held while the target is replaced, so that wrote is what stands there
	wrote identity   // the target as this sink left it; zero before the first Write
	sum   uint64     // of the content that wrote has; see digest
	moves uint64     // how often this sink has put a file in place
}

var (
	_ sinks.Stager  = (*Sink)(nil)
	_ sinks.Checker = (*Sink)(nil)
	_ sinks.Remover = (*Sink)(nil)
	_ sinks.Watcher = (*Sink)(nil)
)

// New makes a sink. It looks at nothing on disk: names of owners are resolved and
// parents are made when the file is written.
func New(o Options) (*Sink, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sink{
		path:    filepath.Clean(o.Path),
		owner:   o.Owner,
		group:   o.Group,
		format:  o.Format,
		mode:    o.Mode,
		dirMode: o.DirMode,
	}
	if s.mode == 0 {
		s.mode = 0o600
	}
	if s.dirMode == 0 {
		s.dirMode = 0o700
	}
	if o.Monitor != nil {
		s.shared = o.Monitor.shared
	} else {
		s.shared = newShared(0)
	}
	return s, nil
}

func (o Options) validate() error {
	switch {
	case !filepath.IsAbs(o.Path):
		return fmt.Errorf("the path %q of a file sink must be absolute", o.Path)
	case filepath.Clean(o.Path) == string(filepath.Separator):
		return fmt.Errorf("the path %q of a file sink names no file", o.Path)
	case isTemp(filepath.Base(o.Path)):
		return fmt.Errorf("the path %q of a file sink has the form of a temporary file of tokend; choose another name", o.Path)
	case o.Mode&^fs.ModePerm != 0 || o.DirMode&^fs.ModePerm != 0:
		return fmt.Errorf("modes of the file sink %s take permission bits alone", o.Path)
	case o.Format == nil:
		return errors.New("a file sink needs a format")
	}
	return nil
}

// Path is the file's cleaned, absolute path.
func (s *Sink) Path() string { return s.path }

// Write implements [sinks.Sink]. Content, mode and owner that already match are
// left alone, whoever wrote them.
func (s *Sink) Write(ctx context.Context, t token.Token) (bool, error) {
	const attempts = 3 // a directory that vanishes or is swapped underfoot is opened anew
	for n := 1; ; n++ {
		changed, err := s.writeOnce(ctx, t)
		if err == nil || n == attempts || !errors.Is(err, errMoved) {
			return changed, err
		}
	}
}

func (s *Sink) writeOnce(ctx context.Context, t token.Token) (bool, error) {
	st, err := s.stage(ctx, t)
	if err != nil {
		return false, err
	}
	defer st.discard()
	return st.publish(ctx)
}

// Stage implements [sinks.Stager]: the temporary file is written and synced, and
// waits for its rename. A directory that was swapped meanwhile makes publish
// write anew in the directory that is there then.
func (s *Sink) Stage(ctx context.Context, t token.Token) (publish func(context.Context) (bool, error), discard func(), err error) {
	st, err := s.stage(ctx, t)
	if errors.Is(err, errMoved) {
		st, err = s.stage(ctx, t)
	}
	if err != nil {
		return nil, nil, err
	}
	publish = func(ctx context.Context) (bool, error) {
		defer st.discard()
		if st.same() { // it was so then; Write finds out about now
			return s.Write(ctx, t)
		}
		changed, err := st.publish(ctx)
		if errors.Is(err, errMoved) {
			return s.Write(ctx, t)
		}
		return changed, err
	}
	return publish, st.discard, nil
}

// Remove implements [sinks.Remover]. Parents that were made stay.
func (s *Sink) Remove(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return s.fail("remove", context.Cause(ctx))
	}
	d, err := s.shared.dirs.find(filepath.Dir(s.path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.fail("remove", err)
	}
	defer d.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch err := d.root.Remove(filepath.Base(s.path)); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return s.fail("remove", err)
	}
	s.wrote, s.sum = identity{}, 0
	if err := d.sync(); err != nil {
		return s.fail("sync the directory of", err)
	}
	return nil
}
