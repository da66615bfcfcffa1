package endpoint

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// idleTimeout is shorter than the keep-alive timeouts in common use (gunicorn
// has 2 s, node and Apache 5 s). A server that closes a connection at the very
// moment we write to it turns a harmless request into an ambiguous one, so the
// connection must be gone on our side first.
const idleTimeout = 1500 * time.Millisecond

// pool keeps connections for the next request, the last used on top. Safe for
// concurrent use. It runs a timer only while it holds something.
type pool struct {
	size int

	mu     sync.Mutex
	idle   []*conn
	closed bool
	timer  *time.Timer
}

func newPool(size int) *pool { return &pool{size: size} }

// get returns a connection that the server has left open and silent, or nil.
func (p *pool) get() *conn {
	for {
		c := p.pop()
		if c == nil || time.Since(c.idle) < idleTimeout && silent(c.counted.Conn) {
			return c
		}
		_ = c.Close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put takes a connection over; it closes it when there is no room.
func (p *pool) put(c *conn) {
	c.idle = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.size {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.timer == nil {
		p.timer = time.AfterFunc(idleTimeout, p.expire)
	} else if len(p.idle) == 1 {
		p.timer.Reset(idleTimeout)
	}
}

// expire closes what has been idle for too long: the oldest lie at the bottom.
func (p *pool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := 0
	for old < len(p.idle) && time.Since(p.idle[old].idle) >= idleTimeout {
		_ = p.idle[old].Close()
		old++
	}
	kept := copy(p.idle, p.idle[old:])
	clear(p.idle[kept:])
	p.idle = p.idle[:kept]
	if kept > 0 {
		p.timer.Reset(max(idleTimeout-time.Since(p.idle[0].idle), time.Millisecond))
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		_ = c.Close()
	}
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
	}
}

// silent reports whether nothing has arrived on an idle connection. An end of
// file, a reset, or bytes that nobody asked for (a 408, a TLS alert) all mean
// that it must not carry a request. The read doesn't wait.
func silent(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	quiet := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, err := syscall.Read(int(fd), b[:])
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}
