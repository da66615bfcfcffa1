package page_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// fleet are 10,000 tokens with a file each.
func fleet() *source {
	s := many(10_000)
	now := time.Now()
	s.set(func(s *control.Status) {
		for i := range s.Tokens {
			t := &s.Tokens[i]
			t.Generation, t.IssuedAt, t.ExpiresAt, t.NextAttempt, t.NextKind = 7, now, now.Add(time.Hour), now.Add(45*time.Minute), "refresh"
			t.Provider, t.Grant, t.LastSuccess = "rator", "password", now
			t.Sinks = []token.SinkStatus{{Kind: "file", Target: "/run/tokend/" + t.Name, Generation: 7, WrittenAt: now}}
		}
	})
	return s
}

// What it costs that somebody opens the page of a fleet.
func BenchmarkTokens(b *testing.B) {
	h := page.Handler(fleet(), nil)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v1/tokens", http.NoBody)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

// What it costs that a token of a fleet is refreshed, whether or not somebody looks.
func BenchmarkObserve(b *testing.B) {
	tl := page.NewTimeline()
	s := fleet()
	for i := range s.status.Tokens {
		tl.Observe(refresher.Event{Kind: refresher.Refreshed, Token: s.status.Tokens[i].Name})
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		tl.Observe(refresher.Event{Kind: refresher.Refreshed, Token: s.status.Tokens[i%10_000].Name})
		i++
	}
}
