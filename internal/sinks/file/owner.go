package file

import (
	"fmt"
	"os/user"
	"strconv"
	"sync"
	"time"
)

// ids are the wanted owner and group; -1 leaves one as it is.
type ids struct{ uid, gid int }

func (o ids) wanted() bool { return o.uid >= 0 || o.gid >= 0 }

func (o ids) match(id identity) bool {
	return (o.uid < 0 || uint32(o.uid) == id.uid) && (o.gid < 0 || uint32(o.gid) == id.gid)
}

// ownersFor is how long a name stands for the same number: long enough for a
// thousand files that are due at once, short enough for an account that is made
// anew.
const ownersFor = 10 * time.Second

// owners resolves names of users and groups, and remembers those it found: a
// lookup reads a file or asks a directory server.
type owners struct {
	mu    sync.Mutex
	found map[[2]string]resolved
}

type resolved struct {
	ids   ids
	until time.Time
}

func (o *owners) resolve(owner, group string) (ids, error) {
	if owner == "" && group == "" {
		return ids{-1, -1}, nil
	}
	key := [2]string{owner, group}
	o.mu.Lock()
	r, ok := o.found[key]
	o.mu.Unlock()
	if ok && time.Now().Before(r.until) {
		return r.ids, nil
	}
	return o.look(key)
}

func (o *owners) look(key [2]string) (ids, error) {
	uid, err := number(key[0], lookupUser)
	if err != nil {
		return ids{}, fmt.Errorf("find the owner %q: %w", key[0], err)
	}
	gid, err := number(key[1], lookupGroup)
	if err != nil {
		return ids{}, fmt.Errorf("find the group %q: %w", key[1], err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.found == nil {
		o.found = map[[2]string]resolved{}
	}
	r := resolved{ids{uid, gid}, time.Now().Add(ownersFor)}
	o.found[key] = r
	return r.ids, nil
}

// number takes a number as it is and looks a name up.
func number(name string, lookup func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	id, err := lookup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(id)
}

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}
