package file_test

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tokend-project/tokend/internal/sinks/file"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

// TestTargetIsNoFile takes what stands at the path and is not replaced by a
// rename: each is refused by Check and by Write, in words that say what to do, and
// is left as it is.
func TestTargetIsNoFile(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		want string
	}{
		{"FIFO", func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o600)) }, "FIFO"},
		{"directory", func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o700)) }, "directory at this path"},
		{"socket", func(t *testing.T, path string) { must(t, unix.Mknod(path, unix.S_IFSOCK|0o600, 0)) }, "device or a socket"},
		{"device", func(t *testing.T, path string) {
			if err := unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
				t.Skip("devices cannot be made here")
			}
		}, "device or a socket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "token")
			test.make(t, path)
			before := version(t, path)
			s := newSink(t, file.Options{Path: path})
			refuses(t, s, test.want)
			if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Check: %v; want it to name a %s", err, test.name)
			}
			if after := version(t, path); after != before {
				t.Errorf("the %s was touched", test.name)
			}
			noTemps(t, filepath.Dir(path))
		})
	}
}

// consul-template#1410: a rename breaks the bind mount of a single file, and a
// write in place would show readers half a token.
func TestSingleFileBindMount(t *testing.T) {
	dir := t.TempDir()
	path, source := filepath.Join(dir, "token"), filepath.Join(dir, "source")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.WriteFile(source, []byte("old"), 0o600))
	if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(path, unix.MNT_DETACH)) })
	s := newSink(t, file.Options{Path: path})
	if err := s.Check(t.Context()); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("Check: %v; want EBUSY", err)
	}
	if err := refuses(t, s, "mount its directory instead"); !errors.Is(err, syscall.EBUSY) {
		t.Errorf("Write: %v; want EBUSY", err)
	}
	contains(t, path, "old")
	noTemps(t, dir)
}

func TestSymbolicLinkAtTargetIsReplacedNotFollowed(t *testing.T) {
	dir := t.TempDir()
	path, victim := filepath.Join(dir, "token"), filepath.Join(t.TempDir(), "victim")
	must(t, os.WriteFile(victim, []byte("untouched"), 0o600))
	must(t, os.Symlink(victim, path))
	changes(t, newSink(t, file.Options{Path: path}), 1)
	contains(t, victim, "untouched")
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the target is %v, %v; want a regular file", info.Mode(), err)
	}
}

// A link to a file that holds the very content is still a link, which its owner
// may point elsewhere.
func TestSymbolicLinkToEqualContentIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	changes(t, newSink(t, file.Options{Path: filepath.Join(dir, "other")}), 1)
	must(t, os.Symlink("other", path))
	changes(t, newSink(t, file.Options{Path: path}), 1)
}

func TestHardLinkKeepsOldContentUnderItsOtherName(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "token"), filepath.Join(dir, "other")
	must(t, os.WriteFile(path, []byte("old"), 0o600))
	must(t, os.Link(path, other))
	changes(t, newSink(t, file.Options{Path: path}), 1)
	contains(t, other, "old")
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
}

// teleport#25462: in-place truncation. Who opened the old file reads it to its
// end.
func TestOpenReaderKeepsOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	s := newSink(t, file.Options{Path: path})
	changes(t, s, 1)
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	changes(t, s, 2)
	held := make([]byte, 1<<16)
	n, err := f.Read(held)
	must(t, err)
	if want := sinktest.Token(1).AccessToken.Reveal(); string(held[:n]) != want {
		t.Errorf("the open file holds %d other bytes than before", n)
	}
}

// vault#9404 and vault#13406: the mode is the one that was asked for, whatever the
// umask, and the owner can be set.
func TestModeAndOwner(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	path := filepath.Join(dir, "token")
	previous := unix.Umask(0o077)
	t.Cleanup(func() { unix.Umask(previous) })
	changes(t, newSink(t, file.Options{Path: path, Mode: 0o664, DirMode: 0o771}), 1)
	hasMode(t, path, 0o664)
	hasMode(t, dir, 0o771)

	unix.Umask(0)
	changes(t, newSink(t, file.Options{Path: path}), 1) // the mode alone differs
	hasMode(t, path, 0o600)
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	s := newSink(t, file.Options{Path: path, Owner: "12345", Group: "54321"})
	changes(t, s, 1) // the owner alone differs
	owned(t, path, 12345, 54321)
	keeps(t, s, 1)
	must(t, os.Chown(path, 0, 54321))
	changes(t, s, 1)
	owned(t, path, 12345, 54321)
}

func TestOwnerByName(t *testing.T) {
	me, err := user.Current()
	must(t, err)
	group, err := user.LookupGroupId(me.Gid)
	must(t, err)
	path := filepath.Join(t.TempDir(), "token")
	changes(t, newSink(t, file.Options{Path: path, Owner: me.Username, Group: group.Name}), 1)
	contains(t, path, sinktest.Token(1).AccessToken.Reveal())
}

func TestUnknownOwnerOrGroup(t *testing.T) {
	for _, o := range []file.Options{{Owner: "nobody-of-that-name"}, {Group: "nobody-of-that-name"}} {
		o.Path = filepath.Join(t.TempDir(), "token")
		s := newSink(t, o)
		refuses(t, s, "nobody-of-that-name")
		if err := s.Check(t.Context()); err == nil {
			t.Error("Check returned nil")
		}
		noTemps(t, filepath.Dir(o.Path))
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	token := format(t, "token")
	for _, test := range []struct {
		name string
		o    file.Options
	}{
		{"no path", file.Options{Format: token}},
		{"relative path", file.Options{Path: "token", Format: token}},
		{"root", file.Options{Path: "/..", Format: token}},
		{"name of a temporary file", file.Options{Path: "/run/.tokend-tmp-0123456789abcdef", Format: token}},
		{"set-uid mode", file.Options{Path: "/run/token", Mode: os.ModeSetuid | 0o600, Format: token}},
		{"octal set-uid mode", file.Options{Path: "/run/token", Mode: 0o4600, Format: token}},
		{"no format", file.Options{Path: "/run/token"}},
	} {
		if _, err := file.New(test.o); err == nil {
			t.Errorf("%s: New returned nil", test.name)
		}
	}
}

func changes(t *testing.T, s *file.Sink, generation uint64) {
	t.Helper()
	if changed, err := s.Write(t.Context(), sinktest.Token(generation)); err != nil || !changed {
		t.Fatalf("Write = %v, %v; want a change", changed, err)
	}
}

func keeps(t *testing.T, s *file.Sink, generation uint64) {
	t.Helper()
	if changed, err := s.Write(t.Context(), sinktest.Token(generation)); err != nil || changed {
		t.Fatalf("Write = %v, %v; want no change", changed, err)
	}
}

func refuses(t *testing.T, s *file.Sink, want string) error {
	t.Helper()
	changed, err := s.Write(t.Context(), sinktest.Token(9))
	if err == nil || changed {
		t.Fatalf("Write = %v, %v; want an error", changed, err)
	}
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), s.Path()) {
		t.Errorf("the error %q does not say %q and the path", err, want)
	}
	if strings.Contains(err.Error(), "tokend-tmp") || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error %q names a temporary file or holds the token", err)
	}
	return err
}

func contains(t *testing.T, path, want string) {
	t.Helper()
	if got, ok := read(t, path); !ok || got != want {
		t.Errorf("%s holds %d bytes, want %d", path, len(got), len(want))
	}
}

func hasMode(t *testing.T, path string, want os.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != want {
		t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
	}
}

func owned(t *testing.T, path string, uid, gid uint32) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	if st := info.Sys().(*syscall.Stat_t); st.Uid != uid || st.Gid != gid {
		t.Errorf("%s belongs to %d:%d, want %d:%d", path, st.Uid, st.Gid, uid, gid)
	}
}

func noTemps(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".tokend-tmp-") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}
