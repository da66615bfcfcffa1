package devserver

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Mode is a way for an API to be out of order. Refused connections are no mode:
// for those, close the listener.
type Mode uint8

// The modes of an outage.
const (
	Working     Mode = iota
	Hang             // requests are read and wait until the fault is lifted or the client goes
	Reset            // the connection is reset after the request was read; nothing is done
	LoseAnswer       // the request is carried out, then the connection is reset
	Unavailable      // 503
	TooMany          // 429, with Retry-After
)

// Fault is an outage of one API.
type Fault struct {
	Mode       Mode
	RetryAfter time.Duration // sent with [Unavailable] and [TooMany] in whole seconds, rounded up, when positive
}

// standingFault is a fault in force; lifted is closed when another replaces it.
type standingFault struct {
	Fault
	lifted chan struct{}
}

// SetFault puts the named APIs into a fault, or all of them when none is named.
// Fault{} ends it: requests that hang are then answered as if nothing had been.
func (s *Server) SetFault(f Fault, apis ...API) {
	if len(apis) == 0 {
		apis = APIs()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, api := range apis {
		if old := s.faults[api]; old != nil {
			close(old.lifted)
		}
		s.faults[api] = &standingFault{Fault: f, lifted: make(chan struct{})}
	}
}

func (s *Server) faultOf(api API) *standingFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.faults[api]; f != nil {
		return f
	}
	return &standingFault{}
}

// handler answers one request whose body was read.
type handler func(r *http.Request, body []byte) reply

const maxBody = 64 << 10

// serve reads the request, lets a fault have its way with it, and counts it.
func (s *Server) serve(api API, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A server notices that a client has gone only once the body is read.
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "the body cannot be read", http.StatusBadRequest)
			s.count(api, Request{Status: http.StatusBadRequest, Outcome: Refused, Detail: "the body cannot be read"})
			return
		}
		fault := s.faultOf(api)
		if !s.pass(w, r, fault) {
			s.count(api, Request{Outcome: Faulted, Detail: fault.Mode.String()})
			return
		}
		answer := h(r, body)
		answer.visit.Status = answer.status
		s.count(api, answer.visit)
		if fault.Mode == LoseAnswer {
			abort(w)
			return
		}
		answer.write(w)
	})
}

// pass reports whether the request is to be carried out; else it was dealt with.
func (s *Server) pass(w http.ResponseWriter, r *http.Request, f *standingFault) bool {
	switch f.Mode {
	case Hang:
		select {
		case <-f.lifted:
			return r.Context().Err() == nil
		case <-s.closed:
			abort(w)
		case <-r.Context().Done():
		}
		return false
	case Reset:
		abort(w)
		return false
	case Unavailable:
		f.decline(w, http.StatusServiceUnavailable)
		return false
	case TooMany:
		f.decline(w, http.StatusTooManyRequests)
		return false
	default:
		return true
	}
}

func (f Fault) decline(w http.ResponseWriter, status int) {
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	http.Error(w, http.StatusText(status), status)
}

// abort ends the connection with a reset, where it can, and else by closing it.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to end a response unanswered
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // the close below is then a reset
	}
	_ = conn.Close()
}

// String is the mode as the live view shows it.
func (m Mode) String() string {
	names := [...]string{"working", "hang", "reset", "lose answer", "503", "429"}
	if int(m) < len(names) {
		return names[m]
	}
	return "unknown"
}
