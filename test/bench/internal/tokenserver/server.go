package tokenserver

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Server answers token requests on a loopback address of its own choosing. It is
// safe for concurrent use.
type Server struct {
	address  string
	lifetime time.Duration
	ledger   *Ledger
	mode     atomic.Pointer[Mode]

	mu       sync.Mutex
	listener net.Listener // nil while connections are refused
	conns    map[net.Conn]struct{}
	wg       sync.WaitGroup
}

// New listens on a free port of 127.0.0.1. Access tokens live for lifetime,
// which must be whole seconds since expires_in is (RFC 6749 section 5.1).
func New(lifetime time.Duration) (*Server, error) {
	if lifetime < time.Second || lifetime%time.Second != 0 {
		return nil, fmt.Errorf("lifetime %v is not a number of whole seconds", lifetime)
	}
	s := &Server{address: "127.0.0.1:0", lifetime: lifetime, ledger: newLedger(), conns: make(map[net.Conn]struct{})}
	s.mode.Store(&Mode{Name: ModeOK})
	return s, s.open()
}

// Address is where token requests go, host:port. It stays the same while
// connections are refused.
func (s *Server) Address() string { return s.address }

// SetMode changes how the server behaves towards every request that arrives from
// now on.
func (s *Server) SetMode(m Mode) error {
	if err := m.check(); err != nil {
		return err
	}
	s.mode.Store(&m)
	if m.Name == ModeRefused {
		s.shut()
		return nil
	}
	return s.open()
}

// Close stops listening, closes every connection and waits for their goroutines.
func (s *Server) Close() {
	s.shut()
	s.wg.Wait()
}

func (s *Server) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp4", s.address)
	if err != nil {
		return fmt.Errorf("listening for token requests: %w", err)
	}
	s.listener, s.address = l, l.Addr().String()
	s.wg.Go(func() { s.accept(l) })
	return nil
}

func (s *Server) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return
	}
	_ = s.listener.Close()
	s.listener = nil
	for c := range s.conns {
		_ = c.Close()
	}
}

func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // out of descriptors: the next one may find one
			continue
		}
		if s.keep(l, c) {
			s.wg.Go(func() { s.serve(c) })
		}
	}
}

// keep records c unless its listener was closed while it was being accepted.
func (s *Server) keep(l net.Listener, c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != l {
		_ = c.Close()
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	reader := bufio.NewReaderSize(c, 2048)
	for {
		req, err := readRequest(reader)
		if err != nil {
			return
		}
		if !s.answer(c, req) || req.close {
			return
		}
	}
}
