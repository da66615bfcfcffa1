package file

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// faulty is a disk whose commits fail with err while it is set.
type faulty struct {
	err   atomic.Pointer[error]
	after bool // fail when everything has reached the file, as a last sync does
}

func (f *faulty) fail(err error) { f.err.Store(&err) }

func (f *faulty) commit(tx *bbolt.Tx) error {
	err := f.err.Load()
	if err == nil || *err == nil {
		return tx.Commit()
	}
	if f.after {
		_ = tx.Commit()
	} else {
		_ = tx.Rollback()
	}
	return *err
}

// inode returns the number of the file, which is kept open so that no other
// gets the same number.
func inode(t *testing.T, dir string) uint64 {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}

// TestFailedCommit: everybody who waited is told, and the store works again as
// soon as the disk does. After a sync that failed it does so in a new file: a
// second sync of the old one may succeed without having written anything.
func TestFailedCommit(t *testing.T) {
	write := func(err error) error { return &fs.PathError{Op: "write", Path: databaseName, Err: err} }
	for _, test := range []struct {
		name    string
		err     error
		after   bool
		newFile bool
	}{
		{"ENOSPC at a write", write(syscall.ENOSPC), false, false},
		{"EROFS at a write", write(syscall.EROFS), false, false},
		{"EDQUOT at a write", write(syscall.EDQUOT), false, false},
		{"EIO at the first fsync", syscall.EIO, false, true},
		{"EIO at the last fsync", syscall.EIO, true, true},
		{"a failure nobody foresaw", errors.New("unforeseen"), false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := newDir(t)
			f := &faulty{after: test.after}
			s, err := open(t.Context(), Options{Dir: dir, Key: testKey}, disk{commit: f.commit})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			mustSave(t, s, "kept", 1)
			before := inode(t, dir)

			f.fail(test.err)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					name := fmt.Sprintf("failed-%d", i)
					if err := s.Save(t.Context(), name, generationOf(1)); !errors.Is(err, test.err) {
						t.Errorf("Save: %v, want %v", err, test.err)
					}
				})
			}
			all.Wait()
			wantGeneration(t, s, "kept", 1)

			f.fail(nil)
			mustSave(t, s, "next", 1)
			if replaced := inode(t, dir) != before; replaced != test.newFile {
				t.Errorf("a new file: %t, want %t", replaced, test.newFile)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = mustOpen(t, Options{Dir: dir, Key: testKey})
			wantGeneration(t, s, "kept", 1)
			wantGeneration(t, s, "next", 1)
			if left, _ := filepath.Glob(filepath.Join(dir, "*.corrupt-*")); left != nil {
				t.Errorf("a sound file was taken for a damaged one: %q", left)
			}
		})
	}
}

// TestReplacingIsPaced: on a dying disk, a Save must not copy the database each
// time to find out that it is still dying.
func TestReplacingIsPaced(t *testing.T) {
	dir := newDir(t)
	f := &faulty{}
	s, err := open(t.Context(), Options{Dir: dir}, disk{commit: f.commit, pause: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustSave(t, s, "kept", 1)
	f.fail(syscall.EIO)
	if err := s.Save(t.Context(), "one", generationOf(1)); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	// The new file cannot be made.
	if err := os.Mkdir(filepath.Join(dir, newName), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, newName, "in-the-way"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.fail(nil)
	first := s.Save(t.Context(), "one", generationOf(1))
	if !errors.Is(first, syscall.EIO) || !errors.Is(first, syscall.ENOTEMPTY) {
		t.Fatalf("%v, want both what broke the file and what keeps it from being replaced", first)
	}
	if err := os.RemoveAll(filepath.Join(dir, newName)); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(t.Context(), "one", generationOf(1)); !errors.Is(err, syscall.EIO) {
		t.Errorf("tried again within the pause: %v", err)
	}
	wantGeneration(t, s, "kept", 1) // reading goes on
}

// TestPanicInATransaction: bbolt panics on what it does not expect.
func TestPanicInATransaction(t *testing.T) {
	var log bytes.Buffer
	dir := newDir(t)
	var armed atomic.Bool
	commit := func(tx *bbolt.Tx) error {
		if armed.CompareAndSwap(true, false) {
			panic("page 7 already freed")
		}
		return tx.Commit()
	}
	o := Options{Dir: dir, Key: testKey, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	s, err := open(t.Context(), o, disk{commit: commit})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	mustSave(t, s, "kept", 1)
	armed.Store(true)
	if err := s.Save(t.Context(), "one", generationOf(1)); err == nil {
		t.Fatal("a Save that panicked returned nil")
	}
	wantGeneration(t, s, "kept", 1) // mends the file on its own
	mustSave(t, s, "one", 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	wantGeneration(t, s, "kept", 1)
	wantGeneration(t, s, "one", 2)
}
