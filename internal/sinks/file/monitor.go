package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settle     = 100 * time.Millisecond // from the first notice of a change to the look at it
	pollEvery  = time.Second
	pollBudget = 5000 // looks at the disk per pollEvery; more files than that are polled less often
	// Notices are taken in bursts, until there were none for a moment; between two
	// bursts the kernel keeps them. A fleet's own writes would otherwise wake this
	// loop half a dozen times each.
	hush = time.Millisecond
	rest = 100 * time.Millisecond
	// burst is how many notices wait in the process, so that taking them is not a
	// change of goroutines for each.
	burst = 1024
)

// Monitor tells file sinks when somebody else changed, replaced or deleted their
// file or its directory. It watches directories, for a watch on a file would end
// with the file's first replacement.
//
// A notice is only an occasion to look: 100 ms after the first one, what stands
// at the path is compared with what the sink left there, so that the sink's own
// writes make no drift. What no notice tells of (a parent further up that was
// renamed, a file system mounted over the directory) is found by looking once a
// second whether the path still leads to the watched directory. Where the
// system's watches are used up, the log says so once and the files are looked at
// every second or two instead.
//
// A Monitor is safe for concurrent use. It notices nothing before Run; Close
// releases what it holds.
type Monitor struct {
	logger  *slog.Logger
	shared  *shared
	watcher *fsnotify.Watcher // nil when the system gave none

	mu     sync.Mutex
	dirs   map[string]*watched
	order  []*watched // the same, for the poll to go round
	next   int        // where in order it goes on
	budget int
	dirty  map[*watch]struct{} // to be looked at
	told   bool                // that watches are used up
}

// watched is a directory with files that somebody watches.
type watched struct {
	path  string
	index int      // in order
	id    identity // of the directory that the system's watch is on
	live  bool     // there is such a watch
	files map[string][]*watch
}

type watch struct {
	sink  *Sink
	drift func()
	heard notices // guarded by Monitor.mu
}

// notices are what the system told of a file.
type notices struct {
	moves    uint64 // files that came to stand there
	complete bool   // moves counts all since the sink's first, and nothing else happened
	written  bool   // since the last look somebody wrote to the file
}

// NewMonitor makes what the file sinks of one process share. It fails only where
// the system offers no notices for another reason than a limit that is reached.
func NewMonitor(logger *slog.Logger) (*Monitor, error) {
	m := &Monitor{
		logger: logger,
		shared: newShared(maxIdle),
		dirs:   map[string]*watched{},
		dirty:  map[*watch]struct{}{},
	}
	m.shared.monitor = m
	w, err := fsnotify.NewBufferedWatcher(burst)
	switch {
	case err == nil:
		m.watcher = w
	case exhausted(err):
		m.tell(err)
	default:
		return nil, fmt.Errorf("start watching files: %w", err)
	}
	return m, nil
}

// Run notices changes until ctx is done.
func (m *Monitor) Run(ctx context.Context) {
	var events chan fsnotify.Event
	var failures chan error
	if m.watcher != nil {
		events, failures = m.watcher.Events, m.watcher.Errors
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	quiet, rested := time.NewTimer(hush), time.NewTimer(rest)
	defer quiet.Stop()
	defer rested.Stop()
	listening := events
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-listening:
			if !ok {
				return
			}
			m.note(e)
			for range len(listening) {
				m.note(<-listening)
			}
			quiet.Reset(hush)
		case <-quiet.C:
			listening = nil
			rested.Reset(rest)
		case <-rested.C:
			listening = events
		case err, ok := <-failures:
			if !ok {
				return
			}
			m.missed(err)
		case <-poll.C:
			m.poll()
		case <-due:
			due = nil
			m.examine()
		}
		// A window that starts with the first notice and is never prolonged:
		// steady changes must not put the look off for ever.
		if due == nil && m.waiting() {
			due = time.After(settle)
		}
	}
}

// Close ends the watching and lets go of open directories. Sinks may still be
// written afterwards.
func (m *Monitor) Close() error {
	m.shared.dirs.shut()
	if m.watcher == nil {
		return nil
	}
	return m.watcher.Close()
}

// Watch implements [sinks.Watcher].
func (s *Sink) Watch(drift func()) (stop func(), err error) {
	m := s.shared.monitor
	if m == nil {
		return nil, fmt.Errorf("watch %s: the sink has no monitor", s.path)
	}
	w := &watch{sink: s, drift: drift}
	m.add(w)
	return func() { m.remove(w) }, nil
}

func (m *Monitor) add(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path, name := filepath.Split(w.sink.path)
	path = filepath.Clean(path)
	d := m.dirs[path]
	if d == nil {
		d = &watched{path: path, index: len(m.order), files: map[string][]*watch{}}
		m.dirs[path] = d
		m.order = append(m.order, d)
		m.establish(d)
	}
	d.files[name] = append(d.files[name], w)
}

func (m *Monitor) remove(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.dirty, w)
	path, name := filepath.Dir(w.sink.path), filepath.Base(w.sink.path)
	d := m.dirs[path]
	if d == nil {
		return
	}
	left := make([]*watch, 0, len(d.files[name]))
	for _, other := range d.files[name] {
		if other != w {
			left = append(left, other)
		}
	}
	if d.files[name] = left; len(left) == 0 {
		delete(d.files, name)
	}
	if len(d.files) == 0 {
		m.forget(d)
	}
}

func (m *Monitor) forget(d *watched) {
	m.abandon(d)
	delete(m.dirs, d.path)
	last := m.order[len(m.order)-1]
	m.order[d.index], last.index = last, d.index
	m.order[len(m.order)-1] = nil
	m.order = m.order[:len(m.order)-1]
}

// note enters what an event may mean. It does no more than that: an own write
// makes half a dozen events.
func (m *Monitor) note(e fsnotify.Event) {
	cut := strings.LastIndexByte(e.Name, filepath.Separator)
	path, name := e.Name[:max(cut, 0)], e.Name[cut+1:]
	if strings.HasPrefix(name, tempPrefix) {
		return
	}
	if path == "" {
		path = string(filepath.Separator)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := m.dirs[path]; d != nil {
		for _, w := range d.files[name] {
			w.heard.add(e)
			m.dirty[w] = struct{}{}
		}
	}
	if d := m.dirs[e.Name]; d != nil && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)) {
		m.abandon(d)
		m.suspect(d)
	}
}

func (n *notices) add(e fsnotify.Event) {
	if e.Op == fsnotify.Create {
		n.moves++
		return
	}
	n.complete = false
	// Nothing of ours writes to the target's own name, while times may be too coarse
	// to show an edit right after a rename.
	n.written = n.written || e.Has(fsnotify.Write)
}

// missed looks at everything when notices were lost.
func (m *Monitor) missed(err error) {
	if !errors.Is(err, fsnotify.ErrEventOverflow) {
		m.logger.Warn("watching files met an error", "error", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.order {
		m.suspect(d)
	}
}

func (m *Monitor) suspect(d *watched) {
	for _, ws := range d.files {
		for _, w := range ws {
			w.heard.complete = false
			m.dirty[w] = struct{}{}
		}
	}
}

func (m *Monitor) waiting() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.dirty) > 0
}

// examine looks at the files in question and calls drift for those that are not
// as their sinks left them, outside the lock.
func (m *Monitor) examine() {
	m.mu.Lock()
	dirty := make([]*watch, 0, len(m.dirty))
	heard := make([]notices, 0, len(m.dirty))
	for w := range m.dirty {
		dirty, heard = append(dirty, w), append(heard, w.heard)
		w.heard.complete, w.heard.written = true, false
	}
	m.dirty = map[*watch]struct{}{}
	m.mu.Unlock()
	for i, w := range dirty {
		switch found, moves := w.sink.look(heard[i]); found {
		case drifted:
			m.doubt(w)
			w.drift()
		case busy:
			m.again(w, heard[i])
		case intact:
			m.agree(w, heard[i].moves, moves)
		}
	}
}

func (m *Monitor) doubt(w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.heard.complete = false
}

// again has a file looked at that could not be.
func (m *Monitor) again(w *watch, heard notices) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.heard.complete, w.heard.written = w.heard.complete && heard.complete, w.heard.written || heard.written
	if m.dirs[filepath.Dir(w.sink.path)] != nil {
		m.dirty[w] = struct{}{}
	}
}

// agree counts on from a look that found what the sink had left with its last move.
// A notice of that move which comes later makes one count too many, and another look.
func (m *Monitor) agree(w *watch, heard, moves uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.heard.moves += moves - heard
}

func exhausted(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) ||
		errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}
