package control

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
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
