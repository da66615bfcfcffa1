package file

import (
	"time"

	"golang.org/x/sys/unix"
)

// verdict is what a look at a file found.
type verdict uint8

const (
	intact verdict = iota
	drifted
	busy // it is being replaced right now; look again
)

// look compares the target with what this sink left there, and returns how often
// the sink has put a file in place. Where the notices tell of as many files, and of
// nothing else, there is no need to.
func (s *Sink) look(n notices) (found verdict, moves uint64) {
	if !s.mu.TryLock() {
		return busy, 0
	}
	defer s.mu.Unlock()
	switch {
	case !s.wrote.exists():
	case n.written:
		return drifted, s.moves
	case n.complete && n.moves == s.moves:
	default:
		id, err := identifyAt(unix.AT_FDCWD, s.path, unix.AT_SYMLINK_NOFOLLOW)
		if err != nil || id != s.wrote {
			return drifted, s.moves
		}
	}
	return intact, s.moves
}

// poll goes round the directories, as far as the budget allows.
func (m *Monitor) poll() {
	m.shared.dirs.expire(time.Now().Add(-idleTime))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget = min(m.budget+pollBudget, pollBudget)
	for range len(m.order) {
		if m.budget <= 0 {
			return
		}
		m.next %= len(m.order)
		m.visit(m.order[m.next])
		m.next++
	}
}

// visit finds out whether the path still leads to the directory that is watched,
// and tries to watch the one that it leads to now.
func (m *Monitor) visit(d *watched) {
	m.budget--
	if d.live {
		id, err := identifyAt(unix.AT_FDCWD, d.path, 0)
		if err == nil && id.sameFile(d.id) {
			return
		}
		m.abandon(d)
	}
	m.establish(d)
	m.budget -= len(d.files)
	m.suspect(d)
}

// establish asks the system for a watch on the directory. Where there is no such
// directory yet, the poll asks again.
func (m *Monitor) establish(d *watched) {
	if m.watcher == nil {
		return
	}
	before, err := identifyAt(unix.AT_FDCWD, d.path, 0)
	if err != nil || !before.exists() {
		return
	}
	if err := m.watcher.Add(d.path); err != nil {
		if exhausted(err) {
			m.tell(err)
		}
		return
	}
	after, err := identifyAt(unix.AT_FDCWD, d.path, 0)
	if err != nil || !after.sameFile(before) {
		_ = m.watcher.Remove(d.path) // it is another's by now
		return
	}
	d.id, d.live = after, true
}

func (m *Monitor) abandon(d *watched) {
	if d.live {
		_ = m.watcher.Remove(d.path) // the system may have ended it already
		d.live = false
	}
}

// tell says once that files are polled. The lock is held, or nobody else knows
// the monitor yet.
func (m *Monitor) tell(err error) {
	if m.told {
		return
	}
	m.told = true
	m.logger.Warn("the system has no more file watches; files are looked at every second or two instead",
		"error", err, "hint", "raise fs.inotify.max_user_watches or fs.inotify.max_user_instances")
}
