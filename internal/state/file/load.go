package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"go.etcd.io/bbolt"

	"github.com/tokend-project/tokend/internal/token"
)

// Load implements [state.Store].
func (s *Store) Load(ctx context.Context, name string) (token.Record, error) {
	r, err := s.load(ctx, name)
	if err != nil {
		return token.Record{}, fmt.Errorf("loading the record of %s: %w", name, err)
	}
	return r, nil
}

func (s *Store) load(ctx context.Context, name string) (token.Record, error) {
	if err := s.check(ctx, name); err != nil {
		return token.Record{}, err
	}
	value, note, err := s.read(name)
	if failed, ok := errors.AsType[unreadable](err); ok {
		// The committer replaces the file; then there is one more chance.
		if err := s.submit(ctx, &op{kind: opMend, db: failed.db, reason: err}); err != nil {
			return token.Record{}, err
		}
		value, note, err = s.read(name)
	}
	switch {
	case err != nil:
		return token.Record{}, err
	case value == nil && note != "":
		return token.Record{}, fmt.Errorf("%w: it was put into quarantine (%s)", token.ErrNoRecord, note)
	case value == nil:
		return token.Record{}, fmt.Errorf("%w: none was saved", token.ErrNoRecord)
	}
	r, err := s.codec.Decode(name, value)
	if err != nil {
		return token.Record{}, s.quarantine(ctx, name, value, err)
	}
	return r, nil
}

// unreadable says which database could not be read, nil when none was open.
type unreadable struct {
	db  *bbolt.DB
	err error
}

func (u unreadable) Error() string { return u.err.Error() }
func (u unreadable) Unwrap() error { return u.err }

// read returns a copy of the raw record, nil when there is none; then note says
// what quarantine knows of it.
func (s *Store) read(name string) (value []byte, note string, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = s.view(func(tx *bbolt.Tx) error {
		s.touched(tx, 1)
		value = bytes.Clone(tx.Bucket(recordsBucket).Get([]byte(name)))
		if value == nil {
			note = lastQuarantine(tx, name)
		}
		return nil
	})
	return value, note, err
}

// view runs f in a read transaction. What f was given is gone when it returns.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		if s.queue.isClosed() {
			return fmt.Errorf("state is closed: %w", os.ErrClosed)
		}
		return unreadable{err: errors.New("the database cannot be read")}
	}
	// Begin is not guarded: it panics when both meta pages are destroyed in the
	// mapped file, and then keeps bbolt's locks. Better to start anew than to
	// hang.
	tx, err := s.db.Begin(false)
	if err != nil {
		return fmt.Errorf("beginning to read: %w", err)
	}
	err = guard(func() error { return f(tx) })
	err = errors.Join(err, tx.Rollback())
	if _, ok := errors.AsType[panicked](err); ok {
		return unreadable{s.db, err}
	}
	return err
}

// quarantine moves a record that cannot be read out of the way and returns the
// error that Load shall return.
func (s *Store) quarantine(ctx context.Context, name string, value []byte, cause error) error {
	err := s.submit(ctx, &op{kind: opQuarantine, name: name, value: value, reason: cause})
	if err != nil {
		return fmt.Errorf("putting it into quarantine: %w (%w)", err, cause)
	}
	return fmt.Errorf("%w: it was put into quarantine (%w)", token.ErrNoRecord, cause)
}
