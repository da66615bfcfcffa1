package endpoint

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// net/http's Transport sends a GET again when the reused connection under it
// dies without an answer. Musement's refresh is a GET.
func TestReusedConnectionDiesAndTheRefreshTokenIsPresentedOnce(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		t.Run(method, func(t *testing.T) {
			s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
				for n := 0; ; n++ {
					if _, err := s.read(r); err != nil || n == 1 {
						return
					}
					io.WriteString(c, ok(goodBody))
				}
			})
			requests := map[string]Request{"": {Method: method, ClientAuth: "none"}}
			c := newClient(t, Config{TokenEndpoint: s.url("/token"), Requests: requests})
			if _, err := c.Send(t.Context(), login()); err != nil {
				t.Fatal(err)
			}
			_, err := c.Send(t.Context(), refresh())
			failure(t, err, token.Ambiguous, "read")
			if n := s.conns.Load(); n != 1 {
				t.Errorf("%d connections: the second request did not meet the reused one", n)
			}
			if got := strings.Count(strings.Join(s.seen(), ""), "refresh-token-canary"); got != 1 {
				t.Errorf("refresh token presented %d times", got)
			}
		})
	}
}

func TestConnectionClosedWhileIdleIsNotUsed(t *testing.T) {
	closed := make(chan struct{}, 1)
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		if _, err := s.read(r); err == nil {
			io.WriteString(c, ok(goodBody))
		}
		c.Close()
		closed <- struct{}{}
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	for range 20 {
		if _, err := c.Send(t.Context(), refresh()); err != nil {
			t.Fatal(err)
		}
		<-closed
	}
	if n := len(s.seen()); n != 20 {
		t.Errorf("%d requests, want 20", n)
	}
}

// A server may end an idle connection with a 408 of its own accord, which is no
// answer to what we ask next.
func TestUnaskedBytesOnAnIdleConnectionAreNoAnswer(t *testing.T) {
	wrote := make(chan struct{}, 1)
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		for {
			if _, err := s.read(r); err != nil {
				return
			}
			io.WriteString(c, ok(goodBody))
			time.AfterFunc(10*time.Millisecond, func() {
				io.WriteString(c, reply("408 Request Timeout", "text/plain", "bye"))
				wrote <- struct{}{}
			})
		}
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	for range 3 {
		if _, err := c.Send(t.Context(), refresh()); err != nil {
			t.Fatal(err)
		}
		<-wrote
	}
}

func TestRedirectsAreRefusedAndNothingGoesToTheTarget(t *testing.T) {
	target := answers(t, ok(goodBody))
	for _, status := range []string{"300 Multiple Choices", "301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"} {
		for _, p := range []Params{login(), refresh()} {
			s := answers(t, "HTTP/1.1 "+status+"\r\nLocation: "+target.url("/steal?secret=canary")+"\r\nContent-Length: 0\r\n\r\n")
			c := newClient(t, Config{TokenEndpoint: s.url("/token")})
			_, err := c.Send(t.Context(), p)
			failure(t, err, token.Misconfigured, "redirect")
			if n := len(s.seen()); n != 1 {
				t.Errorf("%s: %d requests", status, n)
			}
		}
	}
	if n := target.conns.Load(); n != 0 {
		t.Errorf("the target was called %d times", n)
	}
}

func TestResetAfterTheRequestWasReadIsAmbiguous(t *testing.T) {
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		c.(*net.TCPConn).SetLinger(0)
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	_, err := c.Send(t.Context(), refresh())
	f := failure(t, err, token.Ambiguous, "read")
	if !errors.Is(f, syscall.ECONNRESET) {
		t.Errorf("cause is lost: %v", f)
	}
}

func TestHangingServerIsAmbiguousAfterTheDeadline(t *testing.T) {
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		r.ReadByte() // until the client gives up
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token"), Timeout: 300 * time.Millisecond})
	_, err := c.Send(t.Context(), refresh())
	if !errors.Is(failure(t, err, token.Ambiguous, "timeout"), context.DeadlineExceeded) {
		t.Errorf("cause is lost: %v", err)
	}
}

func TestSlowBodyIsHeldAgainstTheSameDeadline(t *testing.T) {
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"+`{"refresh_token":"rt-2",`)
		for {
			if _, err := c.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token"), Timeout: 300 * time.Millisecond})
	begun := time.Now()
	a, err := c.Send(t.Context(), refresh())
	failure(t, err, token.Ambiguous, "timeout")
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
	if a.RefreshToken.Reveal() != "rt-2" {
		t.Error("the refresh token was whole and got lost")
	}
}

func TestCancelled(t *testing.T) {
	why := errors.New("shutting down")
	t.Run("before anything", func(t *testing.T) {
		s := answers(t, ok(goodBody))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		_, err := newClient(t, Config{TokenEndpoint: s.url("/token")}).Send(ctx, refresh())
		if f := failure(t, err, token.NotSent, "canceled"); !errors.Is(f, why) || s.conns.Load() != 0 {
			t.Errorf("%v after %d connections", f, s.conns.Load())
		}
	})
	t.Run("after the request", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
			s.read(r)
			cancel(why)
			r.ReadByte()
		})
		_, err := newClient(t, Config{TokenEndpoint: s.url("/token")}).Send(ctx, refresh())
		if f := failure(t, err, token.Ambiguous, "canceled"); !errors.Is(f, why) {
			t.Errorf("cause is lost: %v", f)
		}
	})
	t.Run("in the TLS handshake", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
			r.ReadByte() // the ClientHello came: no byte of the request has
			cancel(why)
			io.Copy(io.Discard, r)
		})
		_, err := newClient(t, Config{TokenEndpoint: "https://" + s.Addr().String() + "/token"}).Send(ctx, refresh())
		failure(t, err, token.NotSent, "canceled")
	})
}

// Exchanges that share a context end with it, all of them and no others.
func TestCancelledTogether(t *testing.T) {
	why := errors.New("shutting down")
	const each = 8
	var arrived sync.WaitGroup
	arrived.Add(2 * each)
	release := make(chan struct{})
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		arrived.Done()
		<-release
		io.WriteString(c, ok(goodBody))
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	ended, cancel := context.WithCancelCause(t.Context())
	cancelled, others := make(chan error, each), make(chan error, each)
	for range each {
		go func() { _, err := c.Send(ended, refresh()); cancelled <- err }()
		go func() { _, err := c.Send(t.Context(), refresh()); others <- err }()
	}
	arrived.Wait()
	cancel(why)
	for range each {
		if f := failure(t, <-cancelled, token.Ambiguous, "canceled"); !errors.Is(f, why) {
			t.Errorf("cause is lost: %v", f)
		}
	}
	close(release)
	for range each {
		if err := <-others; err != nil {
			t.Errorf("an exchange with another context ended: %v", err)
		}
	}
	if n := len(c.interrupts.by); n != 0 {
		t.Errorf("%d callbacks outlive their exchanges", n)
	}
}

func TestNothingSent(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		r.ReadByte()
		io.WriteString(c, reply("400 Bad Request", "text/plain", "speak HTTP"))
	})
	silent := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	for _, tc := range []struct {
		name, endpoint, reason string
	}{
		{"refused", "http://" + closed.Addr().String(), "dial"},
		{"no such host", "https://nowhere.invalid/token", "resolve"},
		{"TLS to a plain server", "https://" + plain.Addr().String(), "tls"},
		{"TLS handshake hangs", "https://" + silent.Addr().String(), "timeout"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timeout := 10 * time.Second
			if tc.reason == "timeout" {
				timeout = 50 * time.Millisecond
			}
			c := newClient(t, Config{TokenEndpoint: tc.endpoint, Timeout: timeout})
			a, err := c.Send(t.Context(), refresh())
			f := failure(t, err, token.NotSent, tc.reason)
			if f.Err == nil || !a.RefreshToken.IsEmpty() {
				t.Errorf("%v, %v", f, a)
			}
		})
	}
}

// brokenConn takes n bytes and then fails.
type brokenConn struct {
	net.Conn
	n int
}

func (c brokenConn) Write(b []byte) (int, error) {
	return c.n, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
}

func TestWriteFailureIsNotSentOnlyBeforeTheFirstByte(t *testing.T) {
	for n, class := range map[int]token.Class{0: token.NotSent, 1: token.Ambiguous} {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		counted := &countingConn{Conn: brokenConn{a, n}}
		c := newClient(t, Config{TokenEndpoint: "http://127.0.0.1:1/token"})
		_, sent, f := c.over(t.Context(), &conn{Conn: counted, counted: counted}, c.templates[""], []byte("POST"), getBuffer())
		failure(t, f, class, "write")
		if sent != (n > 0) {
			t.Errorf("sent is %t after %d bytes", sent, n)
		}
	}
}

func TestBrokenTLSRecordOfTheRequestCountsAsSent(t *testing.T) {
	certificate := selfSigned(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate.pair}}), func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
	})
	c := newClient(t, Config{TokenEndpoint: "https://" + s.Addr().String() + "/token", TLS: TLS{CAFile: certificate.file}})
	cn, _, err := c.dialer.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cn.counted.Conn = brokenConn{cn.counted.Conn, 7}
	_, sent, f := c.over(t.Context(), cn, c.templates[""], []byte("POST / HTTP/1.1\r\n\r\n"), getBuffer())
	failure(t, f, token.Ambiguous, "write")
	if !sent {
		t.Error("seven bytes of a record left")
	}
}

func TestIdleConnectionIsClosedByUsFirst(t *testing.T) {
	gone := make(chan time.Duration, 1)
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		io.WriteString(c, ok(goodBody))
		answered := time.Now()
		r.ReadByte()
		gone <- time.Since(answered)
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	if _, err := c.Send(t.Context(), refresh()); err != nil {
		t.Fatal(err)
	}
	if d := <-gone; d < idleTimeout-100*time.Millisecond {
		t.Errorf("closed after %v, before a next request could use it", d)
	}
	if c.pool.pop() != nil {
		t.Error("the pool still holds it")
	}
}

func TestCloseDropsIdleConnectionsAndSendStillWorks(t *testing.T) {
	gone := make(chan struct{}, 2)
	s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		s.read(r)
		io.WriteString(c, ok(goodBody))
		r.ReadByte()
		gone <- struct{}{}
	})
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	for range 2 {
		if _, err := c.Send(t.Context(), refresh()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		<-gone
	}
}

func TestConcurrentSendsShareConnections(t *testing.T) {
	s := answers(t, ok(goodBody))
	c := newClient(t, Config{TokenEndpoint: s.url("/token"), Concurrency: 8})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := c.Send(t.Context(), refresh()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := s.conns.Load(); n > 8 {
		t.Errorf("%d connections for 8 at once", n)
	}
	if n := len(s.seen()); n != 200 {
		t.Errorf("%d requests for 200", n)
	}
}

// stuckConn is an open, silent connection that takes nothing any more.
type stuckConn struct{ *net.TCPConn }

func (stuckConn) Write([]byte) (int, error) {
	return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
}

func TestReusedConnectionThatTookNothingGivesWayToANewOne(t *testing.T) {
	s := answers(t, ok(goodBody))
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	cn, _, err := c.dialer.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cn.counted.Conn = stuckConn{cn.counted.Conn.(*net.TCPConn)}
	c.pool.put(cn)
	if _, err := c.Send(t.Context(), refresh()); err != nil {
		t.Fatal(err)
	}
	if n, m := len(s.seen()), s.conns.Load(); n != 1 || m != 2 {
		t.Errorf("%d requests over %d connections, want 1 over 2", n, m)
	}
}
