package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// fillPercent leaves room in a page for a record to grow by an intent.
	fillPercent = 0.8
	mapSize     = 64 << 20 // address space only; the file grows beyond it when it must
	growSize    = 1 << 20
	fileMode    = 0o600
)

// openDatabase opens the database, which is checked first: a missing or damaged
// one is made anew.
func (s *Store) openDatabase() error {
	if err := s.dir.remove(newName); err != nil {
		return err
	}
	fault, err := s.inspect()
	if err != nil {
		return err
	}
	if fault != nil {
		return s.replace()
	}
	db, f, err := s.bolt(databaseName)
	if err != nil {
		return err
	}
	s.db, s.file = db, f
	return nil
}

// inspect reports as fault what is wrong with the file, and as error that it
// could not be read.
func (s *Store) inspect() (fault, err error) {
	f, err := s.dir.root.Open(databaseName)
	if errors.Is(err, fs.ErrNotExist) {
		return err, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading the database: %w", err)
	}
	return readImage(f, info.Size()).verify(), nil
}

// bolt opens a database file with bbolt, which owns and closes f.
func (s *Store) bolt(name string) (db *bbolt.DB, f *os.File, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(s.dir.path(name), fileMode, &bbolt.Options{
			Timeout:         lockWait,
			FreelistType:    bbolt.FreelistArrayType,
			InitialMmapSize: mapSize,
			NoStatistics:    true,
			OpenFile: func(_ string, flag int, mode os.FileMode) (*os.File, error) {
				f, err = s.dir.root.OpenFile(name, flag, mode)
				return f, err
			},
		})
		return err
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, nil, fmt.Errorf("opening %s: %w", s.dir.path(name), ErrLocked)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s: %w", s.dir.path(name), err)
	}
	db.AllocSize = growSize
	return db, f, nil
}

// replace builds a new database from what is current in the file and puts it in
// the file's place. A file that was damaged is kept beside it.
func (s *Store) replace() error {
	if err := s.dir.remove(newName); err != nil {
		return err
	}
	f, err := s.dir.root.Open(databaseName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("opening the database: %w", err)
	}
	var old *image
	if err == nil {
		defer f.Close() //nolint:errcheck // it was only read
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("reading the database: %w", err)
		}
		if info.Size() > 0 {
			old = readImage(f, info.Size())
		}
	}
	return s.install(old)
}

func (s *Store) install(old *image) error {
	var fault error
	if old != nil {
		fault = old.verify()
	}
	db, f, err := s.bolt(newName)
	if err != nil {
		return err
	}
	db.NoSync = true // one sync at the end
	n, lost, err := s.fill(db, old)
	if err == nil {
		db.NoSync = false
		err = db.Sync()
	}
	if err == nil && fault != nil {
		err = s.setAside(fault, lost, n)
	}
	if err == nil {
		err = s.dir.root.Rename(newName, databaseName)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("making a new database: %w", err), db.Close(), s.dir.remove(newName))
	}
	s.swap(db, f)
	return s.dir.sync()
}

// setAside keeps the damaged file under a name of its own. It is linked, not
// renamed, so that there is a database at every moment.
func (s *Store) setAside(fault, lost error, salvaged int) error {
	name := databaseName + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000000000Z")
	if err := s.dir.root.Link(databaseName, name); err != nil {
		if err := s.dir.root.Rename(databaseName, name); err != nil {
			return fmt.Errorf("moving the damaged database aside: %w", err)
		}
	}
	s.log.Error("state database is damaged; it was moved aside and a new one begun",
		"path", s.dir.path(name), "error", fault, "salvaged_records", salvaged, "not_salvaged", lost)
	return nil
}

// swap puts db in place of the one in use.
func (s *Store) swap(db *bbolt.DB, f *os.File) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		// Nothing of it is needed any more, so neither is its complaint.
		_ = s.db.Close()
	}
	s.db, s.file = db, f
}

// fill makes the buckets and copies what is current in old. It returns the
// number of records, and what could not be read.
func (s *Store) fill(db *bbolt.DB, old *image) (n int, lost, err error) {
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range bucketNames {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		records := tx.Bucket(recordsBucket)
		records.FillPercent = fillPercent
		if old != nil {
			var failed error
			lost = old.salvage(func(bucket string, key, value []byte) {
				if b := tx.Bucket([]byte(bucket)); b != nil && failed == nil {
					failed = b.Put(key, bytes.Clone(value))
				}
				if bucket == string(recordsBucket) {
					n++
				}
			})
			if failed != nil {
				return failed
			}
		}
		return stamp(tx, records)
	})
	return n, lost, err
}
