package page

import (
	"errors"
	"net/http"
	"time"
)

const (
	writeWithin = 10 * time.Second
	beatEvery   = 15 * time.Second
)

// events streams what changes (HTML Living Standard, server-sent events). A reader
// who takes longer than writeWithin over a message is let go of; the page comes
// back by itself and begins anew.
func (a *api) events(w http.ResponseWriter, r *http.Request) {
	revision, ok := a.feed.join()
	if !ok {
		w.Header().Set("Retry-After", "30")
		http.Error(w, "too many readers", http.StatusServiceUnavailable)
		return
	}
	defer a.feed.leave()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that gathers a buffer's worth would hold the news back
	s := stream{w, http.NewResponseController(w)}
	hello := event("hello", encode(map[string]any{"revision": revision, "now": time.Now()}))
	if r.Method == http.MethodHead || !s.send([]byte("retry: 3000\n\n"), hello) {
		return
	}
	look, beat := time.NewTicker(lookEvery), time.NewTicker(beatEvery)
	defer look.Stop()
	defer beat.Stop()
	for {
		var messages [][]byte
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			messages = [][]byte{[]byte(": beat\n\n")}
		case <-look.C:
			messages, revision = a.feed.since(revision)
		}
		if !s.send(messages...) {
			return
		}
	}
}

type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// send writes and flushes; it reports whether the reader is still there.
func (s stream) send(messages ...[]byte) bool {
	if len(messages) == 0 {
		return true
	}
	// The server's own limit is for answers that end.
	if err := s.control.SetWriteDeadline(time.Now().Add(writeWithin)); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return false
	}
	for _, m := range messages {
		if _, err := s.w.Write(m); err != nil {
			return false
		}
	}
	return s.control.Flush() == nil
}
