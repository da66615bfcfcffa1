package control

import (
	"fmt"
	"net"
	"os/user"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Peer is the process at the other end of a connection, as the kernel saw it
// when it connected.
type Peer struct {
	PID      int
	UID, GID uint32
}

// peerOf asks the kernel who connected (SO_PEERCRED, see unix(7)).
func peerOf(c *net.UnixConn) (Peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("read the peer's credentials: %w", err)
	}
	var cred *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = credErr
	}
	if err != nil {
		return Peer{}, fmt.Errorf("read the peer's credentials: %w", err)
	}
	return Peer{PID: int(cred.Pid), UID: cred.Uid, GID: cred.Gid}, nil
}

// policy says who may use the socket.
type policy struct {
	uid      uint32  // the daemon's own
	gid      *uint32 // of the configured group; nil for none
	groupsOf func(uid uint32) ([]uint32, error)
}

// check returns nil when peer may use the socket: the daemon's own user, root,
// and members of the configured group, be it their primary group or another.
// The kernel passes the primary group alone, so the others are looked up, and a
// lookup that fails lets nobody in.
func (p policy) check(peer Peer) error {
	if peer.UID == p.uid || peer.UID == 0 {
		return nil
	}
	if p.gid == nil {
		return fmt.Errorf("user %d is %w to use the control socket: only user %d and root are; set control.group to let a group in", peer.UID, ErrForbidden, p.uid)
	}
	if peer.GID == *p.gid {
		return nil
	}
	groups, err := p.groupsOf(peer.UID)
	if err != nil {
		return fmt.Errorf("user %d is %w to use the control socket: %w", peer.UID, ErrForbidden, err)
	}
	if !slices.Contains(groups, *p.gid) {
		return fmt.Errorf("user %d is %w to use the control socket: it is not in group %d, which control.group names", peer.UID, ErrForbidden, *p.gid)
	}
	return nil
}

// groupsOf looks up every group of a user.
func groupsOf(uid uint32) ([]uint32, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return nil, fmt.Errorf("look up user %d: %w", uid, err)
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("look up the groups of user %d: %w", uid, err)
	}
	var groups []uint32
	for _, id := range ids {
		gid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read group %q of user %d: %w", id, uid, err)
		}
		groups = append(groups, uint32(gid))
	}
	return groups, nil
}

// lookupGroup takes a group's name or number.
func lookupGroup(name string) (uint32, error) {
	id := name
	if g, err := user.LookupGroup(name); err == nil {
		id = g.Gid
	}
	gid, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("look up the group %q of control.group: no such group", name)
	}
	return uint32(gid), nil
}
