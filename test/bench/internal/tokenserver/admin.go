package tokenserver

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strconv"
)

// Counts is what the server has seen so far.
type Counts struct {
	Requests int `json:"requests"`
	Clients  int `json:"clients"` // that hold at least one access token
	Limited  int `json:"limited"`
}

// Counts returns what the server has seen so far.
func (s *Server) Counts() Counts {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return Counts{Requests: len(s.ledger.events), Clients: len(s.ledger.clients), Limited: s.ledger.limited}
}

// Admin is the HTTP interface that steers the server and reads its ledger. It
// listens apart from the token requests, so that no mode reaches it.
//
//	PUT  /mode          a [Mode] as JSON
//	GET  /counts        [Counts] as JSON
//	GET  /events?from=N every [Event] from index N on, little endian
func (s *Server) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /mode", s.putMode)
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(s.Counts())
	})
	mux.HandleFunc("GET /events", s.getEvents)
	return mux
}

func (s *Server) putMode(w http.ResponseWriter, r *http.Request) {
	var m Mode
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.SetMode(m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil {
		http.Error(w, "from is not a number", http.StatusBadRequest)
		return
	}
	_ = binary.Write(w, binary.LittleEndian, s.ledger.since(from))
}
