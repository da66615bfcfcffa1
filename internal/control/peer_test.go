package control

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPolicyLetsInOwnerRootAndGroupAlone(t *testing.T) {
	const daemon, stranger, group = 1000, 1001, 50
	members := func(uid uint32) ([]uint32, error) {
		switch uid {
		case stranger:
			return []uint32{1001, 7}, nil
		case 1002:
			return []uint32{1002, group}, nil
		}
		return nil, errors.New("no such user")
	}
	gid := uint32(group)
	for name, c := range map[string]struct {
		peer    Peer
		gid     *uint32
		refused bool
	}{
		"own user":                              {Peer{UID: daemon}, nil, false},
		"root":                                  {Peer{UID: 0}, nil, false},
		"stranger without a group configured":   {Peer{UID: stranger}, nil, true},
		"group member without one configured":   {Peer{UID: 1002, GID: group}, nil, true},
		"primary group":                         {Peer{UID: stranger, GID: group}, &gid, false},
		"supplementary group":                   {Peer{UID: 1002, GID: 1002}, &gid, false},
		"stranger to the group":                 {Peer{UID: stranger, GID: 1001}, &gid, true},
		"user without an entry in the database": {Peer{UID: 4242, GID: 4242}, &gid, true},
		"root's group is not root":              {Peer{UID: stranger, GID: 0}, &gid, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := policy{uid: daemon, gid: c.gid, groupsOf: members}.check(c.peer)
			if (err != nil) != c.refused {
				t.Fatalf("check = %v, want a refusal: %v", err, c.refused)
			}
			if err != nil && !errors.Is(err, ErrForbidden) {
				t.Errorf("%v is no refusal", err)
			}
		})
	}
}

func TestPeerOfNamesThisProcess(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	served, err := l.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	peer, err := peerOf(served)
	want := Peer{PID: os.Getpid(), UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
	if err != nil || peer != want {
		t.Fatalf("peerOf = %+v, %v; want %+v", peer, err, want)
	}
}

// TestStrangerIsRefusedThroughTheSocket opens the files to everybody, so that
// only the kernel's word on the peer stands between a stranger and the tokens.
func TestStrangerIsRefusedThroughTheSocket(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("becoming somebody else needs root")
	}
	dir := shortDir(t)
	socket := filepath.Join(dir, "run", "control.sock")
	s, err := Listen(t.Context(), Options{Socket: socket, Daemon: open{}, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(socket), 0o755))
	must(t, os.Chmod(socket, 0o666))
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()

	answers := make(chan string, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 {
			answers <- errno.Error()
			return
		}
		answers <- askRaw(socket)
	}()
	if stranger := <-answers; !strings.HasPrefix(stranger, "HTTP/1.1 403 ") || strings.Contains(stranger, "let-in") {
		t.Errorf("a stranger was answered %q", stranger)
	}
	if own := askRaw(socket); !strings.Contains(own, "let-in") {
		t.Errorf("the daemon's own user was answered %q", own)
	}
	stop()
	must(t, <-served)
}

// askRaw connects in the calling thread, whose user the kernel notes.
func askRaw(socket string) string {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err.Error()
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		return err.Error()
	}
	const request = "GET /v1/tokens/a HTTP/1.1\r\nHost: tokend\r\nConnection: close\r\n\r\n"
	if _, err := unix.Write(fd, []byte(request)); err != nil {
		return err.Error()
	}
	var answer []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil {
			return string(answer)
		}
		answer = append(answer, buf[:n]...)
	}
}

func TestGroupsOfKnowsRoot(t *testing.T) {
	groups, err := groupsOf(0)
	if err != nil || len(groups) == 0 || groups[0] != 0 {
		t.Fatalf("groupsOf(0) = %v, %v", groups, err)
	}
	if _, err := groupsOf(4_000_000_000); err == nil {
		t.Error("a user that does not exist has groups")
	}
}

func TestLookupGroupTakesNamesAndNumbers(t *testing.T) {
	for name, want := range map[string]uint32{"root": 0, "4242": 4242} {
		if got, err := lookupGroup(name); err != nil || got != want {
			t.Errorf("lookupGroup(%q) = %d, %v", name, got, err)
		}
	}
	if _, err := lookupGroup("no-such-group"); err == nil {
		t.Error("a group that does not exist was found")
	}
}
