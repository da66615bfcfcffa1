package observe

import (
	"io"
	"sync"
)

// mostWait is about how many bytes are held back at most.
const mostWait = 32 << 10

// Lines is where log lines go. Between Hold and Release they are gathered, to be
// written at once: for a fleet's refreshes the writing would cost more than the
// lines do. It is safe for concurrent use.
type Lines struct {
	w io.Writer

	mu      sync.Mutex
	held    bool
	waiting []byte
}

// NewLines returns Lines that go to w as they come.
func NewLines(w io.Writer) *Lines { return &Lines{w: w} }

// Hold begins to gather lines.
func (l *Lines) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// Release writes what was gathered, and from now on each line as it comes.
func (l *Lines) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	l.flush()
}

// Write implements io.Writer. p is one line, or several.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.held {
		return l.w.Write(p)
	}
	l.waiting = append(l.waiting, p...)
	if len(l.waiting) >= mostWait {
		l.flush()
	}
	return len(p), nil
}

func (l *Lines) flush() {
	if len(l.waiting) == 0 {
		return
	}
	_, _ = l.w.Write(l.waiting) // there is nobody to tell
	if l.waiting = l.waiting[:0]; cap(l.waiting) > 2*mostWait {
		l.waiting = nil
	}
}
