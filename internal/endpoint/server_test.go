package endpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// rawServer speaks whatever a test scripts. It counts connections and the
// requests that were read in full.
type rawServer struct {
	net.Listener
	conns    atomic.Int32
	mu       sync.Mutex
	requests []string
}

// serve runs handle for each connection, until the test ends.
func serve(t *testing.T, handle func(s *rawServer, c net.Conn, r *bufio.Reader)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, handle)
}

func serveOn(t *testing.T, l net.Listener, handle func(s *rawServer, c net.Conn, r *bufio.Reader)) *rawServer {
	t.Helper()
	s := &rawServer{Listener: l}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			open.Store(c, nil)
			wg.Go(func() {
				defer c.Close()
				handle(s, c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

// read takes one request off the wire, as the bytes that came.
func (s *rawServer) read(r *bufio.Reader) (string, error) {
	var raw strings.Builder
	length := 0
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", err
		}
		raw.WriteString(line)
		if _, err := fmt.Sscanf(line, "Content-Length: %d", &length); err == nil {
			continue
		}
		if line == "\r\n" {
			break
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return "", err
	}
	raw.Write(body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, raw.String())
	return raw.String(), nil
}

func (s *rawServer) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func (s *rawServer) url(path string) string { return "http://" + s.Addr().String() + path }

// answers serves one scripted response after the other, over as many
// connections as the client likes, and the last one for ever.
func answers(t *testing.T, responses ...string) *rawServer {
	t.Helper()
	var n atomic.Int32
	return serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		for {
			if _, err := s.read(r); err != nil {
				return
			}
			i := min(int(n.Add(1)), len(responses)) - 1
			if _, err := io.WriteString(c, responses[i]); err != nil {
				return
			}
		}
	})
}

func ok(body string) string { return reply("200 OK", "application/json", body) }

func reply(status, contentType, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, contentType, len(body), body)
}

const goodBody = `{"access_token":"at-1","token_type":"bearer","expires_in":3600,"refresh_token":"rt-2"}`

func newClient(t *testing.T, c Config) *Client {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func secrets(pairs ...string) map[string]token.Secret {
	m := map[string]token.Secret{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = token.NewSecret(pairs[i+1])
	}
	return m
}

func refresh() Params {
	return Params{GrantType: "refresh_token", ClientID: "id", ClientSecret: token.NewSecret("client-secret-canary"),
		Values: secrets("refresh_token", "refresh-token-canary")}
}

func login() Params {
	return Params{GrantType: "password", ClientID: "id", ClientSecret: token.NewSecret("client-secret-canary"),
		Values: secrets("username", "somebody", "password", "password-canary")}
}

func failureOf(t *testing.T, err error) *token.Failure {
	t.Helper()
	var f *token.Failure
	if !errors.As(err, &f) {
		t.Fatalf("error is %v, not a Failure", err)
	}
	return f
}

// failure asserts that err is a Failure of this class and reason.
func failure(t *testing.T, err error, class token.Class, reason string) *token.Failure {
	t.Helper()
	f := failureOf(t, err)
	if f.Class != class || f.Reason != reason {
		t.Fatalf("failure is %v (%s), want %v (%s): %v", f.Class, f.Reason, class, reason, f)
	}
	for _, canary := range []string{"canary", "?", "grant_type"} {
		if strings.Contains(f.Error(), canary) {
			t.Fatalf("error shows %q: %v", canary, f)
		}
	}
	return f
}
