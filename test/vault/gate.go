package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gate stands before Vault's handler. It counts requests by method and path,
// and loses or holds requests and answers where a test asks for it: Vault does the
// request or never sees it, and its client sees the connection end, or waits.
type gate struct {
	mu       sync.Mutex
	seen     map[string]int
	faults   []*fault
	released chan struct{} // closed to let go what is held
}

// fault is what the next count requests meet whose "METHOD path" begin with prefix.
type fault struct {
	prefix string
	count  int
	kind   string
}

const (
	loseAnswer  = "lose-answer"
	loseRequest = "lose-request" // it never reaches Vault
	holdAnswer  = "hold-answer"
	holdRequest = "hold-request" // it reaches Vault when it is released
)

func newGate() *gate { return &gate{seen: map[string]int{}, released: make(chan struct{})} }

func (g *gate) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, released := g.note(methodOf(r) + " " + r.URL.Path)
		if kind == "" {
			h.ServeHTTP(w, r)
			return
		}
		if kind == holdRequest && !awaits(r, released) {
			return
		}
		answer := &kept{header: http.Header{}, status: http.StatusOK}
		if kind != loseRequest {
			h.ServeHTTP(answer, r)
		}
		switch kind {
		case loseAnswer, loseRequest:
			panic(http.ErrAbortHandler)
		case holdAnswer:
			if !awaits(r, released) {
				return
			}
		}
		answer.send(w)
	})
}

// awaits reports false when the client leaves first.
func awaits(r *http.Request, released <-chan struct{}) bool {
	select {
	case <-released:
		return true
	case <-r.Context().Done():
		return false
	}
}

// kept is an answer that does not go to the client yet, or ever.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (k *kept) Header() http.Header { return k.header }

func (k *kept) Write(b []byte) (int, error) { return k.body.Write(b) }

func (k *kept) WriteHeader(status int) { k.status = status }

func (k *kept) Flush() {}

func (k *kept) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), k.header)
	w.WriteHeader(k.status)
	_, _ = w.Write(k.body.Bytes())
}

// methodOf calls a listing LIST, as Vault's clients and policies do.
func methodOf(r *http.Request) string {
	if r.Method == http.MethodGet && r.URL.Query().Get("list") == "true" {
		return "LIST"
	}
	return r.Method
}

func (g *gate) note(what string) (kind string, released <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[what]++
	for _, f := range g.faults {
		if f.count > 0 && strings.HasPrefix(what, f.prefix) {
			f.count--
			return f.kind, g.released
		}
	}
	return "", nil
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.released)
	g.released = make(chan struct{})
}

// serveControl answers what a test asks about the server, on a port of its own,
// so that none of it is counted.
func serveControl(l net.Listener, g *gate) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		_ = json.NewEncoder(w).Encode(g.seen)
	})
	mux.HandleFunc("POST /fault", func(w http.ResponseWriter, r *http.Request) {
		count, err := strconv.Atoi(r.FormValue("count"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.faults = append(g.faults, &fault{r.FormValue("prefix"), count, r.FormValue("kind")})
	})
	mux.HandleFunc("POST /release", func(http.ResponseWriter, *http.Request) { g.release() })
	return http.Serve(l, mux)
}
