package file

import (
	"sync"

	"golang.org/x/sys/unix"
)

// mostKept bounds the files that wait to be freed, beside as many that are being
// freed: more than a wave of them, and few beside what a process may have open.
const mostKept = 128

// freer lets go of replaced files apart from those who replaced them. Freeing a
// file's blocks belongs to its last user, and may wait for the device, as where a
// file system is mounted with discard; a rename would wait for that, and with it
// all others in its directory.
type freer struct {
	mu   sync.Mutex
	kept []int
	busy bool
}

// keep opens what stands at a name, so that a rename over it frees nothing. It
// returns -1 when nothing is there, or when enough is kept.
func (f *freer) keep(d *dir, name string) int {
	f.mu.Lock()
	full := len(f.kept) >= mostKept
	f.mu.Unlock()
	if full {
		return -1
	}
	fd, err := openAt(d.fd, name, unix.O_PATH, 0)
	if err != nil {
		return -1
	}
	return fd
}

// free closes what keep has opened, soon.
func (f *freer) free(fd int) {
	if fd < 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, fd)
	if !f.busy {
		f.busy = true
		go f.run()
	}
}

func (f *freer) run() {
	for {
		f.mu.Lock()
		kept := f.kept
		f.kept, f.busy = nil, len(kept) > 0
		f.mu.Unlock()
		if len(kept) == 0 {
			return
		}
		for _, fd := range kept {
			_ = unix.Close(fd) // nothing was written through it
		}
	}
}
