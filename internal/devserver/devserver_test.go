package devserver

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// rig is a server on a loopback port with a clock that the test moves.
type rig struct {
	*Server
	url  string
	logs *bytes.Buffer

	mu  sync.Mutex
	now time.Time
}

// signingKey is made once for all tests: it takes a while.
var signingKey = sync.OnceValues(newSigningKey)

func newRig(t *testing.T, o Options) *rig {
	t.Helper()
	r := &rig{logs: &bytes.Buffer{}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	if o.Now == nil {
		o.Now = r.clock
	}
	o.Logger = slog.New(slog.NewTextHandler(&lockedWriter{w: r.logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.signer = signingKey
	r.Server = s
	front := httptest.NewServer(s.Handler())
	t.Cleanup(front.Close)
	t.Cleanup(func() { _ = s.Close() })
	r.url = front.URL
	return r
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (r *rig) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

// ask is one request; a form makes it a form, and so on.
type ask struct {
	method, path string
	query, form  url.Values
	json         string
	header       map[string]string
}

// with returns the request with one thing changed.
func (a ask) with(change func(*ask)) ask {
	header := map[string]string{}
	maps.Copy(header, a.header)
	clone := func(v url.Values) url.Values {
		if v == nil {
			return nil
		}
		out, err := url.ParseQuery(v.Encode())
		if err != nil {
			panic(err)
		}
		return out
	}
	a.header, a.query, a.form = header, clone(a.query), clone(a.form)
	change(&a)
	return a
}

func (a ask) request(t *testing.T, base string) *http.Request {
	t.Helper()
	target, body := base+a.path, a.json
	if a.query != nil {
		target += "?" + a.query.Encode()
	}
	if a.form != nil {
		body = a.form.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), a.method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range a.header {
		req.Header.Set(name, value)
	}
	return req
}

// got is an answer.
type got struct {
	status int
	header http.Header
	raw    string
	fields map[string]any
}

func (g got) text(name string) string {
	s, _ := g.fields[name].(string)
	return s
}

func (r *rig) do(t *testing.T, a ask) got {
	t.Helper()
	resp, err := http.DefaultClient.Do(a.request(t, r.url))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	g := got{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &g.fields) // a body that isn't JSON has no fields
	return g
}

// granted is do for a request that must succeed.
func (r *rig) granted(t *testing.T, a ask) got {
	t.Helper()
	g := r.do(t, a)
	if g.status != http.StatusOK || g.text("access_token") == "" {
		t.Fatalf("status %d, body %s; want a token", g.status, g.raw)
	}
	return g
}

// live asks the API's resource about an access token.
func (r *rig) live(t *testing.T, api API, access string) bool {
	t.Helper()
	g := r.do(t, ask{method: "GET", path: pathsOf(api).resource, header: map[string]string{
		"Authorization": "Bearer " + access, "X-RATOR-brand-key": "BRAND1",
	}})
	if g.status != http.StatusOK && g.status != http.StatusUnauthorized {
		t.Fatalf("resource answered %d: %s", g.status, g.raw)
	}
	return g.status == http.StatusOK
}

func pairs(kv ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		v.Set(kv[i], kv[i+1])
	}
	return v
}

func musementLogin() ask {
	return ask{
		method: "GET", path: "/api/v3/login",
		query: pairs("client_id", "tokend-dev", "client_secret", "demo&secret=1", "grant_type", "password",
			"username", "traveller@example.com", "password", "demo pass+word"),
		header: map[string]string{"X-Musement-Application": "tokend", "X-Musement-Version": "3.4.0"},
	}
}

func musementRefresh(refresh string) ask {
	return musementLogin().with(func(a *ask) {
		a.query = pairs("client_id", "tokend-dev", "client_secret", "demo&secret=1", "grant_type", "refresh_token", "refresh_token", refresh)
	})
}

func greymatterLogin() ask {
	return ask{
		method: "POST", path: "/api-gateway/auth-service/platform-auth/oauth/token",
		form: pairs("grant_type", "password", "username", "upstream", "password", "upstream"),
		header: map[string]string{
			"Authorization": "Basic YnV0bGVyOmJ1dGxlcg==", "Accept": "application/json, text/javascript",
			"Content-Type": "application/x-www-form-urlencoded",
		},
	}
}

func greymatterRefresh(refresh string) ask {
	return greymatterLogin().with(func(a *ask) { a.form = pairs("grant_type", "refresh_token", "refresh_token", refresh) })
}

func ratorLogin() ask {
	return ask{
		method: "POST", path: "/appcontext/oauth/token",
		query: pairs("grant_type", "operator_password", "username", "operator", "password", "demo#operator", "brand_key", "BRAND1"),
		// curl -u 'tokend-dev:demo+secret/100%'
		header: map[string]string{"Authorization": "Basic dG9rZW5kLWRldjpkZW1vK3NlY3JldC8xMDAl"},
	}
}

func ratorRefresh(refresh string) ask {
	return ratorLogin().with(func(a *ask) {
		a.query = nil
		a.form = pairs("grant_type", "refresh_token", "refresh_token", refresh, "brandKey", "BRAND1")
		a.header["Content-Type"] = "application/x-www-form-urlencoded"
	})
}

// logins are a login with a refresh token at each API, and its refresh.
func logins() map[API]struct {
	login   ask
	refresh func(string) ask
} {
	return map[API]struct {
		login   ask
		refresh func(string) ask
	}{
		Musement:   {musementLogin(), musementRefresh},
		GreyMatter: {greymatterLogin(), greymatterRefresh},
		Rator:      {ratorLogin(), ratorRefresh},
	}
}
