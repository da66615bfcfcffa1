package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// ErrLocked is wrapped by [Open]'s error when another process owns the state
// directory.
var ErrLocked = errors.New("state is in use by another process")

// Options say where the records are and how they are kept.
type Options struct {
	Dir    string       // created with mode 0700 when it does not exist
	Key    token.Secret // seals the records, see [state.NewCodec]; empty: they lie open in a file of mode 0600
	Logger *slog.Logger // nil: [slog.DiscardHandler]
}

// Store is a [state.Store] in a directory.
type Store struct {
	dir   *directory
	codec *state.Codec
	log   *slog.Logger
	disk  disk
	queue *queue
	done  sync.WaitGroup // the committer

	mu sync.RWMutex // read-locked by whoever reads db, locked to replace it
	db *bbolt.DB    // nil while the file cannot be read

	touches atomic.Int64 // see touched

	// The committer's own.
	file    *os.File  // db's
	broken  error     // why the file must be replaced before the next write
	retryAt time.Time // not before then
}

var (
	_ state.Store    = (*Store)(nil)
	_ state.Gatherer = (*Store)(nil)
)

// Open opens the store in o.Dir, whose only owner it becomes; the error wraps
// [ErrLocked] when another process has it still after one second. It wraps
// [state.ErrKey] when the key is too short, or not the one that the records are
// sealed with.
//
// Open reads the whole database once to check it. A damaged one is moved aside
// and begun anew with what could be salvaged; that is logged, and no error. ctx
// bounds the wait for the owner alone.
func Open(ctx context.Context, o Options) (*Store, error) {
	return open(ctx, o, disk{commit: (*bbolt.Tx).Commit, pause: time.Second})
}

// disk is what tests stand in for.
type disk struct {
	commit func(*bbolt.Tx) error
	pause  time.Duration // between two attempts to replace a broken file
}

func open(ctx context.Context, o Options, d disk) (*Store, error) {
	codec, err := state.NewCodec(o.Key)
	if err != nil {
		return nil, err
	}
	log := cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	dir, err := openDirectory(ctx, o.Dir, log)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, codec: codec, log: log, disk: d, queue: newQueue()}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	if o.Key.IsEmpty() {
		log.Warn("state is not sealed: anybody who can read the file has its tokens; set a state key", "path", dir.path(databaseName))
	}
	s.done.Go(s.run)
	return s, nil
}

func (s *Store) start() error {
	if err := s.openDatabase(); err != nil {
		return err
	}
	return s.admitKey()
}

// Close implements [state.Store].
func (s *Store) Close() error {
	if !s.queue.close() {
		return nil
	}
	s.done.Wait()
	return s.release()
}

// release gives up the database before the lock, so that the next owner finds
// it closed.
func (s *Store) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	if s.db != nil {
		err = s.db.Close()
		s.db = nil
	}
	return errors.Join(err, s.dir.close())
}

// Save implements [state.Store].
func (s *Store) Save(ctx context.Context, name string, r token.Record) error {
	return s.save(ctx, name, r, false)
}

// Expect implements [state.Gatherer].
func (s *Store) Expect(n int) { s.queue.expect(n) }

// SaveExpected implements [state.Gatherer].
func (s *Store) SaveExpected(ctx context.Context, name string, r token.Record) error {
	return s.save(ctx, name, r, true)
}

func (s *Store) save(ctx context.Context, name string, r token.Record, expected bool) error {
	o, err := s.put(ctx, name, r)
	if err != nil {
		if expected {
			s.queue.expect(-1)
		}
		return err
	}
	o.came = expected
	if err := s.submit(ctx, o); err != nil {
		return fmt.Errorf("saving the record of %s: %w", name, err)
	}
	return nil
}

func (s *Store) put(ctx context.Context, name string, r token.Record) (*op, error) {
	if err := s.check(ctx, name); err != nil {
		return nil, fmt.Errorf("saving the record of %s: %w", name, err)
	}
	value, err := s.codec.Encode(name, r)
	if err != nil {
		return nil, err
	}
	return &op{kind: opPut, name: name, value: value}, nil
}

// Delete implements [state.Store].
func (s *Store) Delete(ctx context.Context, name string) error {
	err := s.check(ctx, name)
	if err == nil {
		err = s.submit(ctx, &op{kind: opDelete, name: name})
	}
	if err != nil {
		return fmt.Errorf("deleting the record of %s: %w", name, err)
	}
	return nil
}

func (s *Store) check(ctx context.Context, name string) error {
	if !token.ValidName(name) {
		return errors.New("not a valid name")
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// submit queues o and waits for its commit.
func (s *Store) submit(ctx context.Context, o *op) error {
	o.done = make(chan error, 1)
	if !s.queue.push(o) {
		return fmt.Errorf("state is closed: %w", os.ErrClosed)
	}
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("waiting for the disk: %w", context.Cause(ctx))
	}
}
