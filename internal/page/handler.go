package page

import (
	"net/http"

	"github.com/tokend-project/tokend/internal/control"
)

// Source is what is shown. Status returns the tokens by name; the slice is the
// caller's, what it points to is not. It is called from many goroutines.
type Source interface {
	Status() control.Status
}

// Handler serves the page and its API from s, and from t what happened lately; t
// may be nil. It answers GET and HEAD alone. The answers to /api/v1/events last as
// long as their readers stay: a server that shuts down must cancel their requests.
func Handler(s Source, t *Timeline) http.Handler {
	a := &api{source: s, timeline: t, feed: newFeed(s)}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", lazily(statusDocument))
	mux.Handle("GET /problems", lazily(problemsDocument))
	mux.HandleFunc("GET /api/v1/tokens", a.tokens)
	mux.HandleFunc("GET /api/v1/tokens/{name}", a.token)
	mux.HandleFunc("GET /api/v1/events", a.events)
	return guarded(mux)
}

// guarded sets what protects a reader of any answer. Documents set a policy of
// their own, which lets their own style and script in.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
