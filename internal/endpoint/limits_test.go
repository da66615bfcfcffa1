package endpoint

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

func TestBodyOverOneMiBStops(t *testing.T) {
	huge := `{"refresh_token":"rt-2","access_token":"` + strings.Repeat("a", 2<<20) + `"}`
	for name, head := range map[string]string{
		"with a length": "Content-Length: " + strconv.Itoa(len(huge)) + "\r\n\r\n" + huge,
		"until close":   "\r\n" + huge,
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
				s.read(r)
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"+head)
			})
			a, err := newClient(t, Config{TokenEndpoint: s.url("/token")}).Send(t.Context(), refresh())
			failure(t, err, token.Ambiguous, "oversize")
			if a.RefreshToken.Reveal() != "rt-2" {
				t.Error("the refresh token came first and got lost")
			}
		})
	}
}

func TestEndlessAnswersStayBounded(t *testing.T) {
	line := strings.Repeat("x", 1000)
	for name, script := range map[string][2]string{
		"chunks":          {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3e8\r\n" + line + "\r\n"},
		"tiny chunks":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", strings.Repeat("1\r\nx\r\n", 200)},
		"header fields":   {"HTTP/1.1 200 OK\r\n", "A: " + line + "\r\n"},
		"one header":      {"HTTP/1.1 200 OK\r\nA: ", line},
		"status line":     {"HTTP/1.1 200 ", line},
		"interim answers": {"", "HTTP/1.1 103 Early Hints\r\nLink: " + line + "\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
				s.read(r)
				_, err := io.WriteString(c, script[0])
				for err == nil {
					_, err = io.WriteString(c, script[1])
				}
			})
			c := newClient(t, Config{TokenEndpoint: s.url("/token")})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Send(t.Context(), refresh())
			runtime.ReadMemStats(&after)
			if class := failureOf(t, err).Class; class != token.Ambiguous {
				t.Errorf("class %v", class)
			}
			if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 32 {
				t.Errorf("%d MiB allocated", n)
			}
		})
	}
}

func TestGzipBombIsNotInflated(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	z.Write([]byte(goodBody))
	z.Write(make([]byte, 4<<20))
	z.Close()
	for status, class := range map[string]token.Class{"200 OK": token.Ambiguous, "400 Bad Request": token.Rejected} {
		s := answers(t, "HTTP/1.1 "+status+"\r\nContent-Encoding: gzip\r\nContent-Length: "+strconv.Itoa(bomb.Len())+"\r\n\r\n"+bomb.String())
		_, err := newClient(t, Config{TokenEndpoint: s.url("/token")}).Send(t.Context(), refresh())
		if f := failureOf(t, err); f.Class != class {
			t.Errorf("%s: %v", status, f)
		}
		if !strings.Contains(s.seen()[0], "Accept-Encoding: identity\r\n") {
			t.Error("compression was offered")
		}
	}
}

func TestInterimAnswersAreSkipped(t *testing.T) {
	s := answers(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"+ok(goodBody))
	if _, err := newClient(t, Config{TokenEndpoint: s.url("/token")}).Send(t.Context(), refresh()); err != nil {
		t.Error(err)
	}
}

func TestAnswersThatAreNotHTTPAreAmbiguousAndNotQuoted(t *testing.T) {
	for _, script := range []string{
		"canary nonsense\r\n\r\n",
		"HTTP/1.1 abc canary\r\n\r\n",
		"HTTP/1.1 200 OK\r\ncanary without colon\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: canary\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: canary\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 2",
		"\x15\x03\x01\x00\x02\x02\x28",
	} {
		s := serve(t, func(s *rawServer, c net.Conn, r *bufio.Reader) {
			s.read(r)
			io.WriteString(c, script)
		})
		_, err := newClient(t, Config{TokenEndpoint: s.url("/token")}).Send(t.Context(), refresh())
		f := failureOf(t, err)
		if f.Class != token.Ambiguous || strings.Contains(f.Error(), "canary") {
			t.Errorf("%.30q: %v", script, f)
		}
	}
}

func TestBytesAfterTheAnswerAreNotTheNextAnswer(t *testing.T) {
	s := answers(t, ok(goodBody)+ok(`{"access_token":"smuggled"}`))
	c := newClient(t, Config{TokenEndpoint: s.url("/token")})
	for range 3 {
		a, err := c.Send(t.Context(), refresh())
		if err != nil || a.AccessToken.Reveal() != "at-1" {
			t.Fatalf("%v, %v", a.AccessToken.Reveal(), err)
		}
	}
}

func TestReleasedBuffersHoldNoSecrets(t *testing.T) {
	b := getBuffer()
	b.b = append(b.b, "canary"...)
	inside := b.b
	b.release()
	if strings.Contains(string(inside), "c") {
		t.Error("a secret outlives its request")
	}
}
