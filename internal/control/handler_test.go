package control

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// open is a daemon that gives its token to whoever gets through to it.
type open struct{ Daemon }

func (open) Token(context.Context, string, time.Duration) (token.Token, error) {
	return token.Token{AccessToken: token.NewSecret("let-in")}, nil
}

func TestHandlerRefuses(t *testing.T) {
	refused := fmt.Errorf("user 7 is %w", ErrForbidden)
	for name, c := range map[string]struct {
		refusal error
		method  string
		path    string
		body    string
		status  int
		words   string
	}{
		"a peer without the right":  {refused, "GET", "/v1/tokens/operator", "", 403, "user 7 is not allowed"},
		"a body":                    {nil, "GET", "/v1/tokens/operator", "x", 400, "no body"},
		"another path":              {nil, "GET", "/v2/tokens", "", 400, "same version"},
		"another method":            {nil, "DELETE", "/v1/tokens/operator", "", 400, "DELETE"},
		"a duration without a unit": {nil, "GET", "/v1/tokens/operator?min_ttl=5", "", 400, "min_ttl"},
		"a negative duration":       {nil, "GET", "/v1/wait?timeout=-5s", "", 400, "timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			if c.refusal != nil {
				r = r.WithContext(context.WithValue(r.Context(), refusalKey{}, c.refusal))
			}
			w := httptest.NewRecorder()
			handler(open{}).ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.words) || strings.Contains(w.Body.String(), "let-in") {
				t.Errorf("answer %d %s, want %d with %q", w.Code, w.Body, c.status, c.words)
			}
		})
	}
}

func TestConnectionThatWasNotCheckedIsRefused(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, refused := withRefusal(t.Context(), a).Value(refusalKey{}).(error); !refused {
		t.Error("a connection without credentials was let in")
	}
}

func TestConnectionsOverTheLimitAreClosed(t *testing.T) {
	var logs bytes.Buffer
	socket := filepath.Join(shortDir(t), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	must(t, err)
	g := &guarded{UnixListener: l, policy: policy{}, slots: make(chan struct{}, 1), logger: slog.New(slog.NewTextHandler(&logs, nil))}
	server := &http.Server{Handler: handler(open{}), ConnContext: withRefusal}
	done := make(chan error, 1)
	go func() { done <- server.Serve(g) }()

	held, err := net.Dial("unix", socket)
	must(t, err)
	_, err = fmt.Fprint(held, "GET /v1/tokens/a HTTP/1.1\r\nHost: tokend\r\n\r\n")
	must(t, err)
	first := make([]byte, 16)
	_, err = held.Read(first) // the slot is taken for certain
	must(t, err)

	over, err := net.Dial("unix", socket)
	must(t, err)
	if n, err := over.Read(make([]byte, 1)); err == nil {
		t.Errorf("a connection over the limit got %d bytes", n)
	}
	must(t, held.Close())
	must(t, server.Close())
	<-done
	if !strings.Contains(logs.String(), "too many are open") {
		t.Errorf("log %q says nothing of it", &logs)
	}
}
