package main

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gate stands before Vault's handler. It counts requests by method and path,
// and loses answers where a test asks for it: Vault does the request, and its
// client sees the connection end.
type gate struct {
	mu   sync.Mutex
	seen map[string]int
	lose []*loss
}

// loss is what is to be lost: the next count answers to requests whose
// "METHOD path" begin with prefix. With refuse they never reach Vault.
type loss struct {
	prefix string
	count  int
	refuse bool
}

func newGate() *gate { return &gate{seen: map[string]int{}} }

func (g *gate) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l := g.note(methodOf(r) + " " + r.URL.Path)
		if l == nil {
			h.ServeHTTP(w, r)
			return
		}
		if !l.refuse {
			h.ServeHTTP(lost{http.Header{}}, r)
		}
		panic(http.ErrAbortHandler)
	})
}

// lost is where a lost answer goes.
type lost struct{ header http.Header }

func (l lost) Header() http.Header { return l.header }

func (lost) Write(b []byte) (int, error) { return len(b), nil }

func (lost) WriteHeader(int) {}

func (lost) Flush() {}

// methodOf calls a listing LIST, as Vault's clients and policies do.
func methodOf(r *http.Request) string {
	if r.Method == http.MethodGet && r.URL.Query().Get("list") == "true" {
		return "LIST"
	}
	return r.Method
}

func (g *gate) note(what string) *loss {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seen[what]++
	for _, l := range g.lose {
		if l.count > 0 && strings.HasPrefix(what, l.prefix) {
			l.count--
			return l
		}
	}
	return nil
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
	mux.HandleFunc("POST /lose", func(w http.ResponseWriter, r *http.Request) {
		count, err := strconv.Atoi(r.FormValue("count"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.lose = append(g.lose, &loss{r.FormValue("prefix"), count, r.FormValue("refuse") == "true"})
	})
	return http.Serve(l, mux)
}
