package page_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/token"
)

// pipes is a network whose time a synctest bubble knows: nothing is buffered, so
// that a reader who does not read holds the writer up at once.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error { close(p.done); return nil }
func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serve returns a way to ask a real server, with a limit of its own as the daemon
// has it, inside a bubble.
func serve(t *testing.T, s page.Source) func() *reader {
	t.Helper()
	p := &pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: page.Handler(s, nil), WriteTimeout: 30 * time.Second}
	go func() { _ = server.Serve(p) }()
	t.Cleanup(func() { _ = server.Close() })
	return func() *reader {
		ours, theirs := net.Pipe()
		p.conns <- theirs
		go func() { _, _ = fmt.Fprint(ours, "GET /api/v1/events HTTP/1.1\r\nHost: x\r\n\r\n") }()
		b := bufio.NewReader(ours)
		answer, err := http.ReadResponse(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ours.Close() })
		return &reader{t, ours, answer, bufio.NewReader(answer.Body)}
	}
}

type reader struct {
	t      *testing.T
	conn   net.Conn
	answer *http.Response
	body   *bufio.Reader
}

type message struct {
	event    string
	Revision uint64
	Daemon   *struct{ Version string }
	Changed  []token.Status
	Removed  []string
}

// next reads the next event; beats are skipped.
func (r *reader) next() (m message) {
	r.t.Helper()
	for {
		line, err := r.body.ReadString('\n')
		if err != nil {
			return message{event: "end"}
		}
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			m.event = strings.TrimSpace(name)
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				r.t.Fatal(err)
			}
			return m
		}
	}
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf("a", "b", "c")
		r := serve(t, s)()
		hello := r.next()
		if hello.event != "hello" || hello.Revision == 0 {
			t.Fatalf("got %+v", hello)
		}
		s.set(func(s *control.Status) {
			s.Tokens[0].Generation = 9
			s.Tokens = append(s.Tokens[:2], token.Status{Name: "d", Sinks: []token.SinkStatus{}})
		})
		began := time.Now()
		m := r.next()
		if time.Since(began) > time.Second {
			t.Errorf("it took %s to tell", time.Since(began))
		}
		if m.event != "change" || m.Revision != hello.Revision+1 || len(m.Changed) != 2 || m.Changed[0].Generation != 9 || m.Changed[1].Name != "d" ||
			len(m.Removed) != 1 || m.Removed[0] != "c" || m.Daemon != nil {
			t.Errorf("got %+v", m)
		}
		s.set(func(s *control.Status) { s.Version = "v2" })
		if m := r.next(); m.Daemon == nil || m.Daemon.Version != "v2" || len(m.Changed) != 0 {
			t.Errorf("got %+v", m)
		}
	})
}

// A page stays open for days: a server's limit for answers must not end it, and a
// proxy must see that it lives.
func TestQuietStreamLivesOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf("a")
		r := serve(t, s)()
		r.next()
		go func() {
			time.Sleep(10 * time.Minute)
			s.set(func(s *control.Status) { s.Tokens[0].Generation = 2 })
		}()
		if m := r.next(); m.event != "change" {
			t.Errorf("got %+v", m)
		}
	})
}

func TestReaderWhoDoesNotReadIsLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf("a")
		open := serve(t, s)
		slow, quick := open(), open()
		slow.next()
		quick.next()
		s.set(func(s *control.Status) { s.Tokens[0].Generation = 2 })
		if m := quick.next(); m.event != "change" {
			t.Errorf("a reader who reads is held up by one who does not: %+v", m)
		}
		go func() {
			for quick.next().event != "end" {
			}
		}()
		time.Sleep(30 * time.Second)
		for m := slow.next(); m.event != "end"; m = slow.next() {
			if m.Revision > 5 {
				t.Fatal("a reader who did not read for half a minute is still served")
			}
		}
		_ = quick.conn.Close()
	})
}

func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := serve(t, sourceOf("a"))
		var all []*reader
		for range 32 {
			r := open()
			r.next()
			all = append(all, r)
		}
		if r := open(); r.answer.StatusCode != http.StatusServiceUnavailable || r.answer.Header.Get("Retry-After") == "" {
			t.Errorf("one too many gets %s", r.answer.Status)
		}
		_ = all[0].conn.Close()
		time.Sleep(3 * time.Second)
		if r := open(); r.answer.StatusCode != http.StatusOK {
			t.Errorf("after one has left, the next gets %s", r.answer.Status)
		}
	})
}

// When thousands change at once, a message with all of them costs more than the
// list.
func TestFloodBecomesOneShortMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := many(3000)
		r := serve(t, s)()
		r.next()
		s.set(func(s *control.Status) {
			for i := range s.Tokens {
				s.Tokens[i].Generation++
			}
		})
		if m := r.next(); m.event != "reset" || len(m.Changed) != 0 {
			t.Errorf("got %s with %d tokens", m.event, len(m.Changed))
		}
	})
}

// However many look, the daemon is asked once a second; and not at all when nobody
// does.
func TestLookingIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := sourceOf("a")
		open := serve(t, s)
		ctx, stop := context.WithCancel(t.Context())
		for range 10 {
			r := open()
			r.next()
			go func() {
				<-ctx.Done()
				_ = r.conn.Close()
			}()
			go func() {
				for r.next().event != "end" {
				}
			}()
			time.Sleep(70 * time.Millisecond)
		}
		asked := func() int { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }
		before := asked()
		time.Sleep(20 * time.Second)
		if n := asked() - before; n < 15 || n > 23 {
			t.Errorf("ten readers have the daemon asked %d times in 20 s", n)
		}
		stop()
		time.Sleep(3 * time.Second)
		before = asked()
		time.Sleep(time.Minute)
		if n := asked() - before; n != 0 {
			t.Errorf("nobody reads, and the daemon is asked %d times", n)
		}
	})
}
