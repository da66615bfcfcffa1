package vault_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/vault"
)

func newHTTPServer(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// kv2 answers as a KV mount of version 2 that lies at "secret".
func kv2(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/v1/sys/internal/ui/mounts/") {
		fmt.Fprint(w, `{"data":{"path":"secret/","type":"kv","options":{"version":"2"}}}`)
		return
	}
	fmt.Fprint(w, `{"data":{"version":7,"data":{"token":"x"},"metadata":{"version":7}}}`)
}

// afterDetection answers the question for the mount's version, and leaves the rest
// to handler.
func afterDetection(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/sys/internal/") {
			kv2(w, r)
			return
		}
		handler(w, r)
	}
}

func TestNothingOfTheEnvironmentIsRead(t *testing.T) {
	var seen atomic.Pointer[http.Request]
	var elsewhere atomic.Int32
	other := newHTTPServer(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for name, value := range map[string]string{
		"VAULT_ADDR": other.URL, "VAULT_AGENT_ADDR": other.URL, "VAULT_TOKEN": "s.environment",
		"VAULT_NAMESPACE": "environment", "VAULT_HEADERS": `{"X-Environment":"yes"}`, "VAULT_WRAP_TTL": "60s",
		"VAULT_PROXY_ADDR": other.URL, "VAULT_HTTP_PROXY": other.URL, "HTTP_PROXY": other.URL, "HTTPS_PROXY": other.URL,
		"VAULT_MAX_RETRIES": "3", "VAULT_CLIENT_TIMEOUT": "1ns", "VAULT_SKIP_VERIFY": "true", "VAULT_RATE_LIMIT": "0.001:1",
		"VAULT_SRV_LOOKUP": "true", "VAULT_TLS_SERVER_NAME": "environment", "VAULT_DISABLE_REDIRECTS": "false",
	} {
		t.Setenv(name, value)
	}
	var requests atomic.Int32
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		seen.Store(r)
		http.Error(w, `{"errors":["internal error"]}`, http.StatusInternalServerError)
	}, nil)
	_, err := c.KV("secret", 0).Read(t.Context(), "a")
	if err == nil || requests.Load() != 1 || elsewhere.Load() != 0 {
		t.Fatalf("error %v after %d requests, and %d to an address of the environment; want one, and none", err, requests.Load(), elsewhere.Load())
	}
	r := seen.Load()
	if r.Header.Get("X-Vault-Token") != "s.root" || r.Header.Get("X-Vault-Request") != "true" {
		t.Errorf("headers %v, want the configured token", r.Header)
	}
	for _, name := range []string{"X-Vault-Namespace", "X-Environment", "X-Vault-Wrap-TTL"} {
		if r.Header.Get(name) != "" {
			t.Errorf("header %s comes from the environment", name)
		}
	}
}

func TestAVariableThatTheLibraryCannotParseIsNamed(t *testing.T) {
	t.Setenv("VAULT_SKIP_VERIFY", "banana")
	_, err := vault.New(vault.Options{Address: "https://vault.example", Auth: given("s.root")})
	says(t, err, "VAULT_SKIP_VERIFY", "unset")
}

func TestEnvironmentDoesNotSkipVerification(t *testing.T) {
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	s := httptest.NewTLSServer(http.HandlerFunc(kv2))
	defer s.Close()
	c := dial(t, vault.Options{Address: s.URL, Auth: given("s.root")})
	_, err := c.KV("secret", 0).Read(t.Context(), "a")
	is(t, err, vault.ErrUnreachable)
	says(t, err, "certificate")
}

func TestNamespaceGoesWithEveryRequest(t *testing.T) {
	t.Parallel()
	var bad atomic.Int32
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Namespace") != "team/a" {
			bad.Add(1)
		}
		if strings.HasSuffix(r.URL.Path, "/login") {
			fmt.Fprint(w, `{"auth":{"client_token":"s.own","lease_duration":60,"renewable":true}}`)
			return
		}
		kv2(w, r)
	}, func(o *vault.Options) {
		o.Namespace = "team/a"
		o.Auth = vault.Auth{Method: "approle", RoleID: "r"}
	})
	if _, err := c.KV("secret", 0).Read(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if bad.Load() != 0 {
		t.Errorf("%d requests went without the namespace", bad.Load())
	}
}

func TestStandbyRedirectToAnAddressThatIsNotConfiguredIsRefused(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			var reached atomic.Int32
			active := newHTTPServer(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
			c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", active.URL+r.URL.Path)
				w.WriteHeader(status)
			}, nil)
			_, err := c.KV("secret", 2).Write(t.Context(), "a", data("x"), vault.At(0))
			is(t, err, vault.ErrStandby)
			isNot(t, err, vault.ErrAmbiguous)
			says(t, err, strings.TrimPrefix(active.URL, "http://"), "configur")
			if reached.Load() != 0 {
				t.Error("the address that was not configured got a request")
			}
		})
	}
}

func TestStandbyRedirectToAConfiguredAddressIsFollowed(t *testing.T) {
	t.Parallel()
	var body atomic.Value
	active := newHTTPServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			text := make([]byte, r.ContentLength)
			_, _ = r.Body.Read(text)
			body.Store(string(text))
		}
		if r.URL.Query().Get("smuggled") != "" || strings.Contains(r.URL.Path, "smuggled") {
			t.Error("the redirect changed the path")
		}
		kv2(w, r)
	})
	var asked atomic.Int32
	c := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Location", active.URL+"/v1/smuggled?smuggled=1")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}, func(o *vault.Options) { o.Standbys = []string{active.URL + "/"} })
	k := c.KV("secret", 2)
	for range 3 {
		if v, err := k.Write(t.Context(), "a", data("x"), vault.At(6)); err != nil || v != 7 {
			t.Fatalf("version %d, %v", v, err)
		}
	}
	if got := body.Load(); got != `{"data":{"token":"x"},"options":{"cas":6}}` {
		t.Errorf("the active server got %v", got)
	}
	if asked.Load() != 1 {
		t.Errorf("the standby was asked %d times, want once: the active one is remembered", asked.Load())
	}
}

func TestRedirectsInACircleEnd(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	urls := [2]string{}
	turn := func(to int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			requests.Add(1)
			w.Header().Set("Location", urls[to])
			w.WriteHeader(http.StatusTemporaryRedirect)
		}
	}
	urls[0], urls[1] = newHTTPServer(t, turn(1)).URL, newHTTPServer(t, turn(0)).URL
	c := dial(t, vault.Options{Address: urls[0], Standbys: urls[1:], Auth: given("s.root")})
	_, err := c.KV("secret", 0).Read(t.Context(), "a")
	is(t, err, vault.ErrStandby)
	if n := requests.Load(); n > 4 {
		t.Errorf("%d requests for one read", n)
	}
}

func TestAnAddressThatIsDownIsPassedOver(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	down := "http://" + l.Addr().String()
	_ = l.Close()
	up := newHTTPServer(t, kv2)
	c := dial(t, vault.Options{Address: down, Standbys: []string{up.URL}, Auth: given("s.root")})
	if _, err := c.KV("secret", 0).Write(t.Context(), "a", data("x"), vault.CAS{}); err != nil {
		t.Error(err)
	}
	alone := dial(t, vault.Options{Address: down, Auth: given("s.root")})
	_, err = alone.KV("secret", 2).Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrUnreachable)
	isNot(t, err, vault.ErrAmbiguous)
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "vault.example:8200", "ftp://vault.example", "https://", "http://vault.example:8200", "http://10.0.0.1",
		"https://user:pass@vault.example", "https://vault.example/ui", "https://vault.example?x=1", "https://vault.example/#a", "unix:///run/vault.sock",
	} {
		if _, err := vault.New(vault.Options{Address: address, Auth: given("s.root")}); err == nil {
			t.Errorf("address %q is taken", address)
		} else if strings.Contains(err.Error(), "pass@") {
			t.Errorf("a password is shown: %v", err)
		}
		if _, err := vault.New(vault.Options{Address: "https://vault.example", Standbys: []string{address}, Auth: given("s.root")}); err == nil {
			t.Errorf("standby %q is taken", address)
		}
	}
	for _, o := range []vault.Options{
		{Address: "http://127.0.0.1:8200"}, {Address: "http://[::1]:8200"}, {Address: "https://vault.example/"},
		{Address: "http://vault.example", AllowInsecureHTTP: true},
	} {
		o.Auth = given("s.root")
		if _, err := vault.New(o); err != nil {
			t.Errorf("address %q: %v", o.Address, err)
		}
	}
}

func TestTLSBelow12IsRefused(t *testing.T) {
	t.Parallel()
	s := httptest.NewUnstartedServer(http.HandlerFunc(kv2))
	s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	c := dial(t, vault.Options{Address: s.URL, TLS: vault.TLS{CAFile: ca}, Auth: given("s.root")})
	_, err := c.KV("secret", 0).Read(t.Context(), "a")
	is(t, err, vault.ErrUnreachable)
	says(t, err, "protocol version")
}

func TestTLSFilesThatAreWrong(t *testing.T) {
	t.Parallel()
	text := file(t, "no certificate", 0o600)
	for name, o := range map[string]vault.TLS{
		"absent ca":        {CAFile: filepath.Join(t.TempDir(), "none")},
		"empty ca":         {CAFile: text},
		"key without cert": {KeyFile: text},
		"cert without key": {CertFile: text},
		"garbled pair":     {CertFile: text, KeyFile: text},
	} {
		if _, err := vault.New(vault.Options{Address: "https://vault.example", TLS: o, Auth: given("s.root")}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestASlowAnswerEndsWithTheTimeout(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slowly := func(head string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if head != "" {
				fmt.Fprint(w, head)
				w.(http.Flusher).Flush()
			}
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	}
	defer close(release) // before the servers wait for their handlers
	for name, head := range map[string]string{"no head": "", "half a body": `{"data":{`} {
		c := scripted(t, afterDetection(slowly(head)), func(o *vault.Options) { o.Timeout = time.Second })
		k := c.KV("secret", 0)
		if _, err := k.Version(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := k.Write(t.Context(), "a", data("x"), vault.CAS{})
		is(t, err, vault.ErrAmbiguous)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := scripted(t, afterDetection(slowly("")), nil)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := c.KV("secret", 2).Write(ctx, "a", data("x"), vault.CAS{})
	is(t, err, context.Canceled)
}

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"HTML with 200":      "<html>sign in</html>",
		"truncated":          `{"data":{"version":`,
		"no version":         `{"data":{}}`,
		"negative version":   `{"data":{"version":-1}}`,
		"fractional":         `{"data":{"version":1.5}}`,
		"absurd version":     `{"data":{"version":1e400}}`,
		"empty":              "",
		"version 1's answer": "null",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := scripted(t, afterDetection(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) }), nil)
			k := c.KV("secret", 2)
			_, err := k.Write(t.Context(), "a", data("x"), vault.CAS{})
			is(t, err, vault.ErrAmbiguous)
			isNot(t, err, vault.ErrNotFound, vault.ErrDenied)
			if strings.Contains(fmt.Sprint(err), "sign in") {
				t.Errorf("the body is shown: %v", err)
			}
		})
	}
}

func TestABodyWithoutEndIsCut(t *testing.T) {
	t.Parallel()
	c := scripted(t, afterDetection(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"data":"`)
		chunk := []byte(strings.Repeat("x", 1<<20))
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}), nil)
	_, err := c.KV("secret", 2).Read(t.Context(), "a")
	is(t, err, vault.ErrAmbiguous)
	says(t, err, "too large")
}
