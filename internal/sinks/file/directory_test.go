package file_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

func TestDirectoryDeletedWhileRunning(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "token")
	s := newSink(t, file.Options{Path: path, DirMode: 0o750, Monitor: runMonitor(t)})
	changes(t, s, 1)
	must(t, os.RemoveAll(filepath.Dir(dir)))
	changes(t, s, 1)
	hasMode(t, dir, 0o750)
	must(t, os.RemoveAll(dir))
	changes(t, s, 2)
	contains(t, path, sinktest.Token(2).AccessToken.Reveal())
}

// The handle of a directory is kept while it is hot; the path must win.
func TestDirectoryReplacedWhileItsHandleIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	path := filepath.Join(dir, "token")
	s := newSink(t, file.Options{Path: path, Monitor: runMonitor(t)})
	changes(t, s, 1)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Mkdir(dir, 0o700))
	changes(t, s, 1)
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
	must(t, os.Rename(dir, dir+".older"))
	must(t, os.Rename(dir+".old", dir))
	keeps(t, s, 1)
	noTemps(t, dir)
	noTemps(t, dir+".older")
}

// A parent that is swapped for a link between the opening and the rename redirects
// nothing: what was staged never appears where the link points.
func TestParentSwappedBetweenStageAndPublish(t *testing.T) {
	base := t.TempDir()
	dir, victim := filepath.Join(base, "dir"), filepath.Join(base, "victim")
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Mkdir(victim, 0o700))
	must(t, os.WriteFile(filepath.Join(victim, "unrelated"), nil, 0o600))
	s := newSink(t, file.Options{Path: filepath.Join(dir, "token"), Monitor: runMonitor(t)})
	publish, discard, err := s.Stage(t.Context(), sinktest.Token(1))
	must(t, err)
	defer discard()
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Mkdir(dir, 0o700)) // the owner's new directory
	if changed, err := publish(t.Context()); err != nil || !changed {
		t.Fatalf("publish = %v, %v", changed, err)
	}
	contains(t, filepath.Join(dir, "token"), sinktest.Token(1).AccessToken.Reveal())
	if _, ok := read(t, filepath.Join(dir+".old", "token")); ok {
		t.Error("the token appeared in the directory that was moved away")
	}
	noTemps(t, dir+".old")
	noTemps(t, dir)
}

func TestStaleTempsOfAKilledPredecessorAreRemoved(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".tokend-tmp-0123456789abcdef", ".tokend-tmp-00000000000000ff"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("half a tok"), 0o600))
	}
	others := []string{".tokend-tmp-", ".tokend-tmp-0123456789abcdeX", ".tokend-tmp-notes", "token.tmp"}
	for _, name := range others {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	changes(t, newSink(t, file.Options{Path: filepath.Join(dir, "token"), Monitor: runMonitor(t)}), 1)
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != len(others)+1 {
		t.Errorf("the directory holds %v; want the target and %v", entries, others)
	}
}

// A second process that starts must not take the temporary file of a living one
// for a dead one's.
func TestTempInUseIsNotSwept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	publish, discard, err := newSink(t, file.Options{Path: path}).Stage(t.Context(), sinktest.Token(1))
	must(t, err)
	defer discard()
	changes(t, newSink(t, file.Options{Path: path, Monitor: runMonitor(t)}), 2) // sweeps first
	if changed, err := publish(t.Context()); err != nil || !changed {
		t.Fatalf("publish = %v, %v", changed, err)
	}
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
}

// teleport's bot and others widen a secret's mode for a moment. The temporary file
// is 0600 until its owner is set, and never wider than the target will be.
func TestTempIsNeverWiderThanTheTarget(t *testing.T) {
	dir := t.TempDir()
	_, discard, err := newSink(t, file.Options{Path: filepath.Join(dir, "token"), Mode: 0o640}).Stage(t.Context(), sinktest.Token(1))
	must(t, err)
	defer discard()
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 1 {
		t.Fatalf("the directory holds %v; want one temporary file", entries)
	}
	info, err := entries[0].Info()
	must(t, err)
	if wide := info.Mode().Perm() &^ 0o640; wide != 0 {
		t.Errorf("the temporary file has mode %o", info.Mode().Perm())
	}
}

func TestManySinksOfManyDirectoriesKeepFewHandles(t *testing.T) {
	base := t.TempDir()
	m := runMonitor(t)
	before := descriptors(t)
	var wg sync.WaitGroup
	for n := range 200 {
		s := newSink(t, file.Options{Path: filepath.Join(base, string(rune('a'+n%20)), string(rune('A'+n/20)), "token"), Monitor: m})
		wg.Go(func() {
			if _, err := s.Write(t.Context(), sinktest.Token(1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if after := descriptors(t); after-before > 2*64 {
		t.Errorf("%d file descriptors are open, %d before", after, before)
	}
}

func TestWithoutMonitorNothingStaysOpen(t *testing.T) {
	before := descriptors(t)
	changes(t, newSink(t, file.Options{Path: filepath.Join(t.TempDir(), "token")}), 1)
	if after := descriptors(t); after != before {
		t.Errorf("%d file descriptors are open, %d before", after, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(entries)
}
