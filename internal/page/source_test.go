package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/token"
)

// source is a daemon that does what it is told, and counts how often it is asked.
type source struct {
	mu     sync.Mutex
	status control.Status
	asked  int
}

// Status implements page.Source.
func (s *source) Status() control.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	copied := s.status
	copied.Tokens = slices.Clone(s.status.Tokens)
	return copied
}

func (s *source) set(f func(s *control.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

func sourceOf(names ...string) *source {
	s := &source{status: control.Status{Version: "v1"}}
	for _, name := range names {
		s.status.Tokens = append(s.status.Tokens, token.Status{Name: name, State: token.StateFresh, Sinks: []token.SinkStatus{}})
	}
	return s
}

func many(n int) *source {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("tenant-%05d", i)
	}
	return sourceOf(names...)
}

func ask(t *testing.T, s page.Source, method, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	page.Handler(s, page.NewTimeline()).ServeHTTP(w, r)
	return w
}
