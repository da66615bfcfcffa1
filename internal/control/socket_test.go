package control

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shortDir is a temporary directory with a path that leaves room for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ctl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func mustListen(t *testing.T, socket, group string) *Server {
	t.Helper()
	s, err := Listen(t.Context(), Options{Socket: socket, Group: group, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func wantMode(t *testing.T, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != want {
		t.Errorf("%s has mode %04o, want %04o", path, info.Mode().Perm(), want)
	}
}

func TestListenCreatesAPrivateSocket(t *testing.T) {
	socket := filepath.Join(shortDir(t), "run", "control.sock")
	mustListen(t, socket, "")
	wantMode(t, filepath.Dir(socket), 0o700)
	wantMode(t, socket, 0o600)
	entries, err := os.ReadDir(filepath.Dir(socket))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the socket there is %v (%v)", entries, err)
	}
}

func TestListenOpensToTheConfiguredGroupAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving a file to another group needs root")
	}
	socket := filepath.Join(shortDir(t), "run", "control.sock")
	if err := os.Mkdir(filepath.Dir(socket), 0o700); err != nil { // as a run without a group left it
		t.Fatal(err)
	}
	mustListen(t, socket, "4242")
	wantMode(t, filepath.Dir(socket), 0o750)
	wantMode(t, socket, 0o660)
}

func TestListenReplacesADeadDaemonsSocket(t *testing.T) {
	socket := filepath.Join(shortDir(t), "control.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	mustListen(t, socket, "")
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestListenLeavesALiveDaemonAlone(t *testing.T) {
	socket := filepath.Join(shortDir(t), "control.sock")
	mustListen(t, socket, "")
	_, err := Listen(t.Context(), Options{Socket: socket, Logger: slog.New(slog.DiscardHandler)})
	if inUse, ok := errors.AsType[*InUseError](err); !ok || inUse.Socket != socket {
		t.Fatalf("Listen = %v, want an InUseError", err)
	}
	if _, err := net.Dial("unix", socket); err != nil {
		t.Errorf("the first daemon lost its socket: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, dir string)
		socket  string
		group   string
		want    string
	}{
		"a directory that everybody may write": {
			prepare: func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o1777)) },
			want:    "can be written by others (mode 0777)",
		},
		"a directory that its group may write": {
			prepare: func(t *testing.T, dir string) { must(t, os.Chmod(dir, 0o770)) },
			want:    "can be written by others (mode 0770)",
		},
		"a file in the socket's place": {
			prepare: func(t *testing.T, dir string) {
				must(t, os.WriteFile(filepath.Join(dir, "control.sock"), []byte("keep me"), 0o600))
			},
			want: "it is no socket",
		},
		"a symbolic link in the socket's place": {
			prepare: func(t *testing.T, dir string) {
				must(t, os.Symlink("/nowhere", filepath.Join(dir, "control.sock")))
			},
			want: "it is no socket",
		},
		"a path that no unix socket can have": {
			socket: strings.Repeat("x", 120),
			want:   "too long for a unix socket",
		},
		"a group that does not exist": {group: "no-such-group", want: "no such group"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			if c.prepare != nil {
				c.prepare(t, dir)
			}
			if c.socket == "" {
				c.socket = "control.sock"
			}
			s, err := Listen(t.Context(), Options{Socket: filepath.Join(dir, c.socket), Group: c.group, Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				t.Fatal(s.Close(), "Listen accepted it")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCloseLeavesTheSocketOfASuccessor(t *testing.T) {
	socket := filepath.Join(shortDir(t), "control.sock")
	first := mustListen(t, socket, "")
	must(t, os.Remove(socket))
	mustListen(t, socket, "")
	must(t, first.Close())
	if _, err := os.Lstat(socket); err != nil {
		t.Errorf("the successor's socket is gone: %v", err)
	}
}
