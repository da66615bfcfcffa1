package probe_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/probe"
	"github.com/tokend-project/tokend/internal/token"
)

var tok = token.Token{AccessToken: token.NewSecret("canary-token")}

func TestVerdict(t *testing.T) {
	for _, test := range []struct {
		name      string
		status    int
		challenge []string
		want      probe.Verdict
	}{
		{"200", 200, nil, probe.Accepted},
		{"204", 204, nil, probe.Accepted},
		{"304", 304, nil, probe.Accepted},
		{"404: the token was known before the path was not", 404, nil, probe.Accepted},
		{"403: another token would be forbidden too", 403, nil, probe.Accepted},
		{"403 insufficient_scope", 403, []string{`Bearer realm="x", error="insufficient_scope"`}, probe.Accepted},
		{"401 insufficient_scope: the wrong status for it", 401, []string{`Bearer error="insufficient_scope"`}, probe.Accepted},
		{"401", 401, nil, probe.Refused},
		{"401 Basic", 401, []string{`Basic realm="x"`}, probe.Refused},
		{"401 invalid_token", 401, []string{`Basic realm="x"`, `bearer realm="x",error="invalid_token"`}, probe.Refused},
		{"403 invalid_token: the wrong status for it", 403, []string{`Bearer error=invalid_token`}, probe.Refused},
		{"500", 500, nil, probe.Unknown},
		{"503 invalid_token", 503, []string{`Bearer error="invalid_token"`}, probe.Unknown},
		{"429", 429, nil, probe.Unknown},
		{"302 to a login page", 302, nil, probe.Unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["WWW-Authenticate"] = test.challenge
				w.WriteHeader(test.status)
			}))
			defer s.Close()
			got, err := newProbe(t, probe.Options{URL: s.URL}).Check(t.Context(), tok)
			if got != test.want {
				t.Errorf("Check = %v, %v; want %v", got, err, test.want)
			}
			if (err == nil) != (got == probe.Accepted) {
				t.Errorf("the verdict %v comes with the error %v", got, err)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	defer s.Close()
	p := newProbe(t, probe.Options{
		URL:     s.URL + "/ping?key=1#fragment",
		Method:  "HEAD",
		Headers: map[string]token.Secret{"x-rator-brand-key": token.NewSecret("BRAND1"), "host": token.NewSecret("api.example")},
	})
	if v, err := p.Check(t.Context(), tok); v != probe.Accepted || err != nil {
		t.Fatalf("Check = %v, %v", v, err)
	}
	if got.Method != "HEAD" || got.URL.String() != "/ping?key=1" || got.Host != "api.example" ||
		got.Header.Get("Authorization") != "Bearer canary-token" || got.Header.Get("X-RATOR-brand-key") != "BRAND1" ||
		got.Header.Get("Accept-Encoding") != "" {
		t.Errorf("the resource saw %s %s for %s with %v", got.Method, got.URL, got.Host, got.Header)
	}
}

// A redirect would hand the token to whoever the answer names.
func TestRedirectIsNotFollowed(t *testing.T) {
	var hits atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer target.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := httptest.NewServer(http.RedirectHandler(target.URL, status))
		if v, err := newProbe(t, probe.Options{URL: s.URL}).Check(t.Context(), tok); v != probe.Unknown || err == nil {
			t.Errorf("%d: Check = %v, %v", status, v, err)
		}
		s.Close()
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the redirect's target was asked %d times", n)
	}
}

func TestNetworkFailureSaysNothingAboutTheToken(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	reset := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer reset.Close()
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hanging.Close()
	defer close(release)
	quoted := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+r.URL.RawQuery+" "+r.Header.Get("Authorization")+"\r\n\r\n")
			_ = conn.Close()
		}
	}))
	defer quoted.Close()
	for name, base := range map[string]string{"refused": closed.URL, "reset": reset.URL, "hanging": hanging.URL, "a status line that net/http quotes": quoted.URL} {
		p := newProbe(t, probe.Options{URL: base + "/ping?secret=canary-query", Timeout: 200 * time.Millisecond})
		v, err := p.Check(t.Context(), tok)
		if v != probe.Unknown || err == nil {
			t.Errorf("%s: Check = %v, %v", name, v, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error %q holds a secret", name, err)
		}
		if name == "hanging" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hanging: %v; want a deadline", err)
		}
	}
}

// An endless body must not keep the probe beyond what it needs: the verdict is in
// the status line.
func TestEndlessBody(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<14)); err != nil {
				return
			}
		}
	}))
	defer s.Close()
	if v, err := newProbe(t, probe.Options{URL: s.URL}).Check(t.Context(), tok); v != probe.Accepted || err != nil {
		t.Errorf("Check = %v, %v", v, err)
	}
}

func TestProbesOfOneHostShareConnections(t *testing.T) {
	var opened atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("pong"))
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	transport := newTransport(t, probe.TLS{})
	var wg sync.WaitGroup
	for range 200 {
		p := newProbe(t, probe.Options{URL: s.URL, Transport: transport})
		wg.Go(func() {
			if _, err := p.Check(t.Context(), tok); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := opened.Load(); n > 16 {
		t.Errorf("%d connections were opened", n)
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := newProbe(t, probe.Options{URL: s.URL}).Check(t.Context(), tok); v != probe.Unknown {
		t.Errorf("an unknown authority: Check = %v, %v", v, err)
	}
	trusting := probe.Options{URL: s.URL, Transport: newTransport(t, probe.TLS{CAFile: ca})}
	if v, err := newProbe(t, trusting).Check(t.Context(), tok); v != probe.Accepted {
		t.Errorf("the configured authority: Check = %v, %v", v, err)
	}
	old := httptest.NewUnstartedServer(nil)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	defer old.Close()
	trusting.URL = old.URL
	if v, err := newProbe(t, trusting).Check(t.Context(), tok); v != probe.Unknown {
		t.Errorf("TLS 1.1: Check = %v, %v", v, err)
	}
	for _, bad := range []probe.TLS{{CAFile: "/no/such/file"}, {CAFile: "/dev/null"}, {CertFile: ca}, {CertFile: ca, KeyFile: ca}} {
		if _, err := probe.NewTransport(bad); err == nil {
			t.Errorf("NewTransport(%+v) returned nil", bad)
		}
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	transport := newTransport(t, probe.TLS{})
	for _, o := range []probe.Options{
		{},
		{URL: "ping"},
		{URL: "ftp://api.example/"},
		{URL: "http://api.example/?canary"},
		{URL: "https://user:canary@api.example/"},
		{URL: "https://api.example/\x00canary"},
		{URL: "https://api.example/", Method: "GE T"},
		{URL: "https://api.example/", Timeout: -1},
	} {
		o.Transport = transport
		if _, err := probe.New(o); err == nil {
			t.Errorf("New(%+v) returned nil", o)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error %q holds a secret", err)
		}
	}
	if _, err := probe.New(probe.Options{URL: "https://api.example/"}); err == nil {
		t.Error("New without a transport returned nil")
	}
	for _, o := range []probe.Options{{URL: "http://127.0.0.1:1/"}, {URL: "http://[::1]/"}, {URL: "http://localhost/"}, {URL: "http://api.example/", AllowInsecureHTTP: true}} {
		o.Transport = transport
		if _, err := probe.New(o); err != nil {
			t.Errorf("New(%s): %v", o.URL, err)
		}
	}
}

func newProbe(t *testing.T, o probe.Options) *probe.Probe {
	t.Helper()
	if o.Transport == nil {
		o.Transport = newTransport(t, probe.TLS{})
	}
	p, err := probe.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newTransport(t *testing.T, o probe.TLS) *http.Transport {
	t.Helper()
	transport, err := probe.NewTransport(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}
