package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
)

var testKey = token.NewSecret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

func TestConformance(t *testing.T) {
	for _, key := range []token.Secret{{}, testKey} {
		t.Run(fmt.Sprintf("sealed=%t", !key.IsEmpty()), func(t *testing.T) {
			statetest.Run(t, func(t *testing.T) statetest.Backend {
				o := Options{Dir: newDir(t), Key: key}
				return statetest.Backend{
					Open:   func(t *testing.T) state.Store { return mustOpen(t, o) },
					Damage: func(t *testing.T, name string) { flipRecord(t, o.Dir, name) },
				}
			})
		})
	}
}

func newDir(t testing.TB) string { return filepath.Join(t.TempDir(), "deep", "state") }

// mustOpen also closes the store, if the test did not.
func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func mustSave(t testing.TB, s *Store, name string, generation uint64) {
	t.Helper()
	if err := s.Save(t.Context(), name, generationOf(generation)); err != nil {
		t.Fatal(err)
	}
}

func generationOf(g uint64) token.Record {
	r := statetest.Full()
	r.Generation = g
	return r
}

// wantGeneration fails the test unless name's record is of generation want;
// 0 is for no record.
func wantGeneration(t testing.TB, s *Store, name string, want uint64) {
	t.Helper()
	r, err := s.Load(t.Context(), name)
	if want == 0 && errors.Is(err, token.ErrNoRecord) {
		return
	}
	if err != nil || r.Generation != want {
		t.Errorf("%s has generation %d (%v), want %d", name, r.Generation, err, want)
	}
}

// flipRecord alters the last byte of a stored record, through bbolt.
func flipRecord(t *testing.T, dir, name string) {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(dir, databaseName), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(recordsBucket)
		v := bytes.Clone(b.Get([]byte(name)))
		v[len(v)-1] ^= 1
		return errors.Join(b.Put([]byte(name), v), stamp(tx, b))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSecondDaemonOnTheSameState(t *testing.T) {
	dir := newDir(t)
	first := mustOpen(t, Options{Dir: dir})
	start := time.Now()
	_, err := Open(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("Open of a state in use: %v", err)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
	if waited := time.Since(start); waited < lockWait/2 || waited > 5*lockWait {
		t.Errorf("gave up after %v, want about %v", waited, lockWait)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("Open with an ended context: %v", err)
	}

	// The next owner need not wait for more than the first one's Close.
	time.AfterFunc(50*time.Millisecond, func() { _ = first.Close() })
	mustSave(t, mustOpen(t, Options{Dir: dir}), "one", 1)
}

func TestPermissions(t *testing.T) {
	mode := func(t *testing.T, path string) os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode().Perm()
	}
	t.Run("everything is private from the start", func(t *testing.T) {
		dir := newDir(t)
		mustOpen(t, Options{Dir: dir})
		for path, want := range map[string]os.FileMode{
			dir: 0o700, filepath.Join(dir, databaseName): 0o600, filepath.Join(dir, lockName): 0o600,
		} {
			if got := mode(t, path); got != want {
				t.Errorf("%s has mode %04o, want %04o", path, got, want)
			}
		}
	})
	t.Run("a directory that others can write to is refused", func(t *testing.T) {
		for _, mode := range []os.FileMode{0o770, 0o702, 0o777 | os.ModeSticky} {
			dir := t.TempDir()
			if err := os.Chmod(dir, mode); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "writable by others") {
				t.Errorf("mode %v: %v", mode, err)
			}
		}
	})
	t.Run("a database that others could read is made private", func(t *testing.T) {
		dir := newDir(t)
		s := mustOpen(t, Options{Dir: dir})
		mustSave(t, s, "one", 1)
		_ = s.Close()
		path := filepath.Join(dir, databaseName)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		wantGeneration(t, mustOpen(t, Options{Dir: dir}), "one", 1)
		if got := mode(t, path); got != 0o600 {
			t.Errorf("mode %04o", got)
		}
	})
	t.Run("a database that is no regular file is refused", func(t *testing.T) {
		for _, name := range []string{databaseName, lockName} {
			dir := t.TempDir()
			if err := os.Symlink("/etc/passwd", filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), Options{Dir: dir}); err == nil {
				t.Errorf("a symbolic link for %s was taken", name)
			}
		}
	})
	t.Run("a file for the directory is refused", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), Options{Dir: path}); err == nil {
			t.Error("it was taken")
		}
	})
}

// TestConcurrentSavesShareSyncs: ten thousand tokens must not cost ten thousand
// syncs, and a lone save must not wait for others.
func TestConcurrentSavesShareSyncs(t *testing.T) {
	var commits atomic.Int64
	commit := func(tx *bbolt.Tx) error { commits.Add(1); return tx.Commit() }
	dir := newDir(t)
	s, err := open(t.Context(), Options{Dir: dir, Key: testKey}, disk{commit: commit})
	if err != nil {
		t.Fatal(err)
	}
	const writers, each = 64, 50
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for g := range uint64(each) {
				mustSave(t, s, fmt.Sprintf("token-%d-%d", w, g%10), g+1)
			}
		})
	}
	all.Wait()
	if got := commits.Load(); got > writers*each/8 {
		t.Errorf("%d commits for %d saves by %d writers", got, writers*each, writers)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, Options{Dir: dir, Key: testKey})
	for w := range writers {
		for i := range uint64(10) {
			wantGeneration(t, s, fmt.Sprintf("token-%d-%d", w, i), each-9+i)
		}
	}
}

// TestOneBadRecordFailsAlone holds a commit back until the bad one and its
// neighbours wait for the next.
func TestOneBadRecordFailsAlone(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	commit := func(tx *bbolt.Tx) error {
		once.Do(func() { close(entered); <-release })
		return tx.Commit()
	}
	s, err := open(t.Context(), Options{Dir: newDir(t)}, disk{commit: commit})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var first sync.WaitGroup
	first.Go(func() { mustSave(t, s, "first", 1) })
	<-entered
	ops := []*op{{name: "before", value: []byte("1")}, {name: "", value: []byte("2")}, {name: "later", value: []byte("3")}}
	for _, o := range ops {
		o.done = make(chan error, 1)
		s.queue.push(o)
	}
	close(release)
	first.Wait()
	for _, o := range ops {
		if err := <-o.done; (err != nil) != (o.name == "") {
			t.Errorf("%q: %v", o.name, err)
		}
	}
}

func TestWithoutKeyThereIsOneWarning(t *testing.T) {
	for _, key := range []token.Secret{{}, testKey} {
		var log bytes.Buffer
		s := mustOpen(t, Options{Dir: newDir(t), Key: key, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		mustSave(t, s, "one", 1)
		want := 0
		if key.IsEmpty() {
			want = 1
		}
		if got := strings.Count(log.String(), "\n"); got != want {
			t.Errorf("%d lines, want %d:\n%s", got, want, log.String())
		}
	}
}
