package file

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// When many files of one file system are due at once, one syncfs costs a fraction
// of what as many fsyncs do, and it serves at once those who wait for the content
// data, not only ours, and a token must not wait for somebody's backup. So it is
// used for two callers or more, on file systems where it is known to be as durable
// as fsync, while little is waiting to be written in the whole system; and not for
// a while after it was slow.
const (
	maxDirty = 64 << 20               // bytes that wait to be written, of anybody
	slow     = 100 * time.Millisecond // a syncfs that takes longer was not worth it
	parted   = 10 * time.Second       // without syncfs after a slow or failed one
	crowded  = time.Second            // and after finding too much that waits
	measured = 250 * time.Millisecond // how long it is believed that little waits
)

var errApart = errors.New("sync each file by itself")

// disk is a file system that files are written to.
type disk struct {
	shares bool         // syncfs is known to do on it what fsync does
	memory bool         // there is nothing to sync
	apart  atomic.Int64 // until when nothing is shared, in nanoseconds since 1970
	calm   atomic.Int64 // until when little is believed to wait
	crew   crew
	freer  freer
}

type disks struct {
	mu    sync.Mutex
	known map[uint64]*disk // by device
}

func (ks *disks) get(dev uint64, fd int) *disk {
	ks.mu.Lock()
	defer ks.mu.Unlock()
	k := ks.known[dev]
	if k == nil {
		k = newDisk(fd)
		if ks.known == nil {
			ks.known = map[uint64]*disk{}
		}
		ks.known[dev] = k
	}
	return k
}

func newDisk(fd int) *disk {
	k := &disk{}
	var st unix.Statfs_t
	if unix.Fstatfs(fd, &st) == nil {
		switch int64(st.Type) { //nolint:unconvert // it has 32 bits on some machines
		case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC:
			k.shares = true
		case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
			k.memory = true
		}
	}
	return k
}

// together reports whether callers are to share a syncfs now.
func (k *disk) together() bool {
	return k.shares && time.Now().UnixNano() >= k.apart.Load()
}

// do takes a step and makes durable what it has changed: with others where they can
// share that, and otherwise with sync, the step's own way. An error of that is the
// changed file's own, and the file must then not be used any more: a second fsync
// may report a success that was none.
func (k *disk) do(take func() (fd int, err error), sync func() error) (err, syncErr error) {
	s := step{take: take}
	if k.memory || !k.together() {
		_, s.err = take()
		s.synced = k.memory
	} else {
		k.crew.do(&s, k.flush)
	}
	if s.err == nil && !s.synced {
		s.syncErr = sync()
	}
	return s.err, s.syncErr
}

// flush syncs the whole file system, unless that would take long.
func (k *disk) flush(fd int) error {
	started := time.Now()
	if started.UnixNano() >= k.calm.Load() {
		if waiting() > maxDirty {
			k.part(crowded)
			return errApart
		}
		k.calm.Store(started.Add(measured).UnixNano())
	}
	err := retry(func() error { return unix.Syncfs(fd) })
	if err != nil || time.Since(started) > slow {
		k.part(parted)
	}
	return err
}

func (k *disk) part(d time.Duration) { k.apart.Store(time.Now().Add(d).UnixNano()) }

// waiting is how many bytes the system holds that are not on a disk yet; where it
// does not tell, more than any limit.
func waiting() int64 {
	const unknown = 1 << 62
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return unknown
	}
	var sum int64
	lines := bufio.NewScanner(bytes.NewReader(text))
	for found := 0; found < 2 && lines.Scan(); {
		name, value, _ := bytes.Cut(lines.Bytes(), []byte(":"))
		if string(name) != "Dirty" && string(name) != "Writeback" {
			continue
		}
		n, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(value), []byte(" kB"))), 10, 64)
		if err != nil {
			return unknown
		}
		sum += n << 10
		found++
	}
	return sum
}
