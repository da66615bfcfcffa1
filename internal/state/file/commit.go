package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
)

var (
	recordsBucket    = []byte("records")
	quarantineBucket = []byte("quarantine")
	formatBucket     = []byte("format")

	bucketNames = [...][]byte{recordsBucket, quarantineBucket, formatBucket}
)

// run commits what is queued until the queue is closed and drained.
func (s *Store) run() {
	debug.SetPanicOnFault(true)
	var ops []*op
	for {
		ops = s.queue.take(ops)
		if len(ops) == 0 {
			return
		}
		s.commit(ops)
	}
}

// commit writes ops in one transaction and tells each how it went.
func (s *Store) commit(ops []*op) {
	inKeyOrder(ops)
	for _, o := range ops {
		if o.kind == opMend {
			s.distrust(o.db, o.reason)
		}
	}
	errs := make([]error, len(ops))
	err := s.mend()
	if err == nil {
		err = s.transact(ops, errs)
		s.judge(err)
	}
	for i, o := range ops {
		result := errs[i]
		if err != nil {
			result = err
		}
		if o.kind == opQuarantine && o.moved && result == nil {
			s.log.Error("stored record is damaged and was put into quarantine; its token logs in anew",
				"token", o.name, "bytes", len(o.value), "error", o.reason)
		}
		o.done <- result
	}
}

// transact writes ops. An op that cannot be written gets an error of its own in
// errs and leaves the others alone; the error returned is everybody's.
func (s *Store) transact(ops []*op, errs []error) error {
	return guard(func() error {
		tx, err := s.db.Begin(true)
		if err != nil {
			return fmt.Errorf("beginning a transaction: %w", err)
		}
		s.touched(tx, len(ops))
		records := tx.Bucket(recordsBucket)
		records.FillPercent = fillPercent
		for i, o := range ops {
			if !superseded(ops, i) {
				errs[i] = s.apply(tx, records, o)
			}
		}
		if err := stamp(tx, records); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		if err := readImage(s.file, 0).untouched(uint64(tx.ID()) - 1); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		return s.disk.commit(tx)
	})
}

func (s *Store) apply(tx *bbolt.Tx, records *bbolt.Bucket, o *op) error {
	key := []byte(o.name)
	switch o.kind {
	case opPut:
		return records.Put(key, o.value)
	case opDelete:
		return records.Delete(key)
	case opQuarantine:
		if !bytes.Equal(records.Get(key), o.value) {
			return nil
		}
		if err := putQuarantine(tx, o, time.Now()); err != nil {
			return err
		}
		o.moved = true
		return records.Delete(key)
	}
	return nil
}

// stamp writes the transaction's number where a page can be told by it: into
// the root page, which every transaction writes anyway. See [image.newestRoot].
func stamp(tx *bbolt.Tx, records *bbolt.Bucket) error {
	return records.SetSequence(uint64(tx.ID()))
}

// panicked is what a guarded function died of.
type panicked struct{ reason any }

func (p panicked) Error() string { return fmt.Sprintf("damaged database: %v", p.reason) }

// guard turns a panic, or a memory fault where the goroutine has
// [debug.SetPanicOnFault] set, into an error.
func guard(f func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = panicked{reason}
		}
	}()
	return f()
}

// judge decides what a failed transaction means for the file.
func (s *Store) judge(err error) {
	if err == nil {
		return
	}
	if _, ok := errors.AsType[panicked](err); ok {
		s.abandon()
		s.broken = err
		return
	}
	// A write that failed has touched only pages that nothing refers to, and
	// bbolt has rolled back. Anything else may be a failed sync.
	if _, ok := errors.AsType[*fs.PathError](err); !ok {
		s.broken = err
	}
}
