package faults

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/internal/app"
	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/token"
)

// told collects everything that tokend says, by where it was said.
type told struct {
	mu    sync.Mutex
	texts map[string][]byte
}

func (o *told) hear(where string, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.texts == nil {
		o.texts = map[string][]byte{}
	}
	o.texts[where] = append(append(o.texts[where], text...), '\n')
}

func (o *told) fault(where string, err error) {
	if err != nil {
		o.hear(where, []byte(err.Error()))
	}
}

// check fails the test for each secret in what was said.
func (o *told) check(t *testing.T, c *canaries) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for where, text := range o.texts {
		for _, leak := range c.leaks(text) {
			t.Errorf("%s shows %s", where, leak)
		}
		t.Logf("%s: %d bytes", where, len(text))
	}
}

// describe answers with an OAuth error that has text in its description.
func describe(status int, code string, text func(secrets string) string) echo {
	return func(w http.ResponseWriter, secrets string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": text(secrets), "error_uri": secrets})
	}
}

// echo answers a token request with the secrets that were in it.
type echo func(w http.ResponseWriter, secrets string)

func fields(of func(secrets string) map[string]any) echo {
	return func(w http.ResponseWriter, secrets string) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(of(secrets))
	}
}

func page(status int, contentType string) echo {
	return func(w http.ResponseWriter, secrets string) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<html>%s</html>", secrets)
	}
}

func raw(answer func(c net.Conn, secrets string)) echo {
	return func(w http.ResponseWriter, secrets string) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			answer(conn, secrets)
			_ = conn.Close()
		}
	}
}

// refusals are error answers whose words repeat the secrets in every coding that
// a server might use.
func refusals() map[string]echo {
	plain := func(s string) string { return s }
	inJSON := func(s string) string { b, _ := json.Marshal(map[string]string{"request": s}); return string(b) }
	return map[string]echo{
		"invalid-grant":    describe(400, "invalid_grant", plain),
		"invalid-client":   describe(401, "invalid_client", plain),
		"invalid-scope":    describe(400, "invalid_scope", plain),
		"with-200":         describe(200, "invalid_grant", plain),
		"unavailable":      describe(503, "temporarily_unavailable", plain),
		"server-error":     describe(500, "server_error", plain),
		"in-json":          describe(400, "invalid_grant", inJSON),
		"in-json-twice":    describe(400, "invalid_grant", func(s string) string { return inJSON(inJSON(s)) }),
		"in-html":          describe(400, "invalid_grant", html.EscapeString),
		"in-a-go-string":   describe(400, "invalid_grant", func(s string) string { return fmt.Sprintf("%q", s) }),
		"form-encoded":     describe(400, "invalid_grant", url.QueryEscape),
		"percent-encoded":  describe(400, "invalid_grant", url.PathEscape),
		"in-a-url-twice":   describe(400, "invalid_grant", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }),
		"in-base64":        describe(400, "invalid_grant", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }),
		"in-base64url":     describe(400, "invalid_grant", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }),
		"in-hexadecimal":   describe(400, "invalid_grant", func(s string) string { return hex.EncodeToString([]byte(s)) }),
		"cut-by-the-limit": describe(400, "invalid_grant", func(s string) string { return strings.Repeat("x", 230) + s }),
		"as-the-code": func(w http.ResponseWriter, secrets string) {
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": secrets})
		},
		"as-a-form": func(w http.ResponseWriter, secrets string) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, url.Values{"error": {"invalid_grant"}, "error_description": {secrets}}.Encode())
		},
	}
}

// oddities are answers that are neither a refusal nor a token.
func oddities() map[string]echo {
	answer := func(key string) echo {
		return fields(func(s string) map[string]any {
			return map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 3600, key: s}
		})
	}
	return map[string]echo{
		"html-500":      page(500, "text/html"),
		"html-200":      page(200, "text/html"),
		"html-as-json":  page(200, "application/json"),
		"not-found":     page(404, "text/html"),
		"token-type":    answer("token_type"),
		"lifetime":      answer("expires_in"),
		"scope":         answer("scope"),
		"control":       fields(func(s string) map[string]any { return map[string]any{"access_token": s + "\n", "token_type": "Bearer"} }),
		"type-as-field": fields(func(s string) map[string]any { return map[string]any{s: s, "access_token": []string{s}} }),
		"twice": func(w http.ResponseWriter, s string) {
			_, _ = fmt.Fprintf(w, `{"access_token":%q,"access_token":%q}`, s, s)
		},
		"truncated": func(w http.ResponseWriter, s string) { _, _ = fmt.Fprintf(w, `{"scope":%q,"access_token":"`, s) },
		"oversize":  func(w http.ResponseWriter, s string) { _, _ = io.WriteString(w, s+strings.Repeat(" ", 2<<20)) },
		"gzip": func(w http.ResponseWriter, s string) {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, s)
			_ = z.Close()
		},
		"redirect": func(w http.ResponseWriter, s string) {
			w.Header().Set("Location", "http://127.0.0.1:1/?"+url.QueryEscape(s))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"headers": func(w http.ResponseWriter, s string) {
			s = url.QueryEscape(s)
			w.Header().Set("Retry-After", s)
			w.Header().Set("WWW-Authenticate", s)
			w.Header().Set("Content-Type", s)
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"garbage":     raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "%s\r\n\r\n", s) }),
		"status-line": raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "HTTP/1.1 %s\r\n\r\n", s) }),
		"broken-head": raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%s\r\n\r\n", s) }),
		"length":      raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", s) }),
		"reset": raw(func(c net.Conn, _ string) {
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
		}),
	}
}

// troubled is what the one token is called that has more troubles than answers.
const troubled = "troubled"

// aviary is an authorization server and a resource that show every secret they
// are sent, and a configuration full of them.
type aviary struct {
	*httptest.Server
	*canaries
	echoes map[string]echo
	bell   *bell

	clientSecret, header, query, param, probeHeader, probeQuery, fixed string

	mu      sync.Mutex
	users   map[string]string // by refresh token
	nth     map[string]int
	probes  map[string]int
	missing []string // what should have been in a request
}

func newAviary(t *testing.T, b *bell) *aviary {
	t.Helper()
	a := &aviary{canaries: newCanaries(), bell: b, echoes: refusals(), users: map[string]string{}, nth: map[string]int{}, probes: map[string]int{}}
	maps.Copy(a.echoes, oddities())
	a.clientSecret, a.header, a.query = a.plant("the client's secret"), a.plantHeader("a header"), a.plant("a query parameter")
	a.param, a.probeHeader, a.probeQuery = a.plant("a parameter"), a.plantHeader("a probe's header"), a.plantToken("a probe's query")
	a.fixed = a.plantToken("a token's own client's secret")
	mux := http.NewServeMux()
	mux.HandleFunc("/token", a.token)
	mux.HandleFunc("/probe/{user}", a.probe)
	a.Server = httptest.NewServer(mux)
	t.Cleanup(func() {
		a.CloseClientConnections()
		a.Close()
	})
	return a
}

// token answers well at every second request, and badly in between: a user of
// the name login-… begins with the bad one.
func (a *aviary) token(w http.ResponseWriter, r *http.Request) {
	defer a.bell.ring()
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	refreshToken, id := r.FormValue("refresh_token"), r.FormValue("username")
	_, password, _ := r.BasicAuth()
	a.mu.Lock()
	user := id
	if refreshToken != "" {
		user = a.users[refreshToken]
	}
	a.nth[user]++
	bad := a.nth[user]%2 == 0
	if strings.HasPrefix(user, "login-") {
		bad = !bad
	}
	for what, present := range map[string]bool{"header": r.Header.Get("X-Canary") == a.header, "query": r.URL.Query().Get("key") == a.query, "param": r.FormValue("extra") == a.param} {
		if !present {
			a.missing = append(a.missing, what)
		}
	}
	a.mu.Unlock()
	if bad {
		secrets := []string{refreshToken, r.FormValue("password"), r.Header.Get("Authorization"), r.Header.Get("X-Canary"), r.FormValue("extra"),
			r.URL.RawQuery, string(body), password}
		_, kind, _ := strings.Cut(user, "-")
		if _, ok := refusals()[kind]; ok { // where one secret is taken out, others go with it
			secrets = secrets[:2]
		}
		a.echoes[kind](w, strings.TrimSpace(strings.Join(secrets, " ")))
		return
	}
	access, fresh := a.plantToken("an access token"), a.plantToken("a refresh token")
	a.mu.Lock()
	a.users[fresh] = user
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": access, "refresh_token": fresh, "token_type": "Bearer", "expires_in": 3600})
}

// probe is a resource that answers each time in another way that cannot mean
// well, and repeats the token.
func (a *aviary) probe(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.probes[r.PathValue("user")]++
	n := a.probes[r.PathValue("user")]
	a.mu.Unlock()
	secrets := r.Header.Get("Authorization") + r.Header.Get("X-Probe") + r.URL.RawQuery
	switch n % 4 {
	case 1:
		w.Header().Set("Location", "/?"+url.QueryEscape(secrets))
		w.WriteHeader(http.StatusFound)
	case 2:
		raw(func(c net.Conn, s string) { _, _ = fmt.Fprintf(c, "%s\r\n\r\n", s) })(w, secrets)
	case 3:
		http.Error(w, secrets, http.StatusInternalServerError)
	default:
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q", url.QueryEscape(secrets)))
		http.Error(w, secrets, http.StatusUnauthorized)
	}
}

func (a *aviary) names() []string {
	var names []string
	for kind := range a.echoes {
		if kind == troubled {
			continue
		}
		names = append(names, "login-"+kind, "refresh-"+kind)
	}
	slices.Sort(names)
	return names
}

// quote writes a text as HCL reads it.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${", "%{", "%%{").Replace(text) + `"`
}

func (a *aviary) config(t *testing.T, d *daemon) string {
	t.Helper()
	d.write(t, "key", base64.StdEncoding.EncodeToString([]byte(a.plantToken("the state's key"))[:32]))
	var b strings.Builder
	b.WriteString(strings.Replace(house, `path = "DIR/state"`, `path = "DIR/state"
  key  = file("DIR/key")`, 1))
	fmt.Fprintf(&b, `
http {
  address = %q
}
`, d.httpAddress)
	for n, name := range a.names() {
		own := ""
		if n%3 == 0 {
			own = fmt.Sprintf("client_id = %q\n client_secret = %s", "own-"+name, quote(a.fixed))
		}
		b.WriteString(a.provider(name))
		fmt.Fprintf(&b, `
token %[1]q {
  provider = %[1]q
  %[2]s
  grant "password" {
    username = %[1]q
    password = %[3]s
  }
  sink "file" {
    path = "DIR/out/%[1]s"
  }
}
`, name, own, quote(a.plant("the password of "+name)))
	}
	b.WriteString(a.troubledToken(t, d))
	return b.String()
}

// provider is one for each token, since one that asks for a pause delays all of
// its tokens.
func (a *aviary) provider(name string) string {
	return fmt.Sprintf(`
provider %[1]q {
  token_endpoint = %[2]q
  client_id      = "canary"
  client_secret  = %[3]s
  timeout        = "5s"
  request {
    headers = { X-Canary = %[4]s }
    query   = { key = %[5]s }
    params  = { extra = %[6]s }
  }
  schedule {
    min_interval = "10ms"
  }
}
`, name, a.URL+"/token", quote(a.clientSecret), quote(a.header), quote(a.query), quote(a.param))
}

// troubledToken is one whose sinks, hook and probe all fail, and try to say why.
func (a *aviary) troubledToken(t *testing.T, d *daemon) string {
	t.Helper()
	d.write(t, "hook.sh", `env >> DIR/hooked
tr '\0' ' ' < /proc/self/environ >> DIR/hooked
tr '\0' ' ' < /proc/$$/cmdline >> DIR/hooked
cat DIR/out/refresh-troubled; base64 -w0 DIR/out/refresh-troubled
echo "and an error: $(cat DIR/out/refresh-troubled)" >&2
exit 3
`)
	d.write(t, "not-a-directory", "x")
	a.echoes[troubled] = page(500, "text/html")
	return a.provider("refresh-troubled") + fmt.Sprintf(`
token "refresh-troubled" {
  provider = "refresh-troubled"
  grant "password" {
    username = "refresh-troubled"
    password = %[1]s
  }
  sink "file" {
    path = "DIR/out/refresh-troubled"
  }
  sink "file" {
    path = "DIR/not-a-directory/token"
  }
  sink "file" {
    path     = "DIR/out/from-template"
    template = "{{ slice .AccessToken 0 100 }}"
  }
  sink "file" {
    path     = "DIR/out/from-another-template"
    template = "{{ .AccessToken }}{{ if ne .Scope \"sample\" }}{{ index .AccessToken 1000 }}{{ end }}"
  }
  on_update {
    command = ["/bin/sh", "DIR/hook.sh"]
    timeout = "10s"
  }
  probe {
    url     = "%[2]s/probe/refresh-troubled?key=%[3]s"
    headers = { X-Probe = %[4]s }
    every   = "1s"
  }
}
`, quote(a.plant("the password of troubled")), a.URL, url.QueryEscape(a.probeQuery), quote(a.probeHeader))
}

// spoiled are configurations with a secret at a place where a fault is.
func (a *aviary) spoiled() map[string]string {
	secret := quote(a.plant("a secret in a broken configuration"))
	bare := a.plantToken("a secret without quotes")
	head := house + "provider \"p\" {\n  token_endpoint = \"https://auth.example/token\"\n  client_id = \"id\"\n  "
	return map[string]string{
		"misspelt":          head + "client_secrt = " + secret + "\n}\n",
		"no equals sign":    head + "client_secret " + secret + "\n}\n",
		"not closed":        head + "client_secret = " + secret[:len(secret)-1] + "\n}\n",
		"no quotes":         head + "client_secret = " + bare + "\n}\n",
		"a list":            head + "client_secret = [" + secret + "]\n}\n",
		"of the wrong type": head + "client_secret = \"x\"\n  request {\n    headers = " + secret + "\n    params = [" + secret + "]\n  }\n}\n",
		"a function":        head + "client_secret = jsondecode(" + secret + ")\n}\n",
		"an address":        strings.Replace(head, "https://auth.example/token", "https://user:"+url.QueryEscape(bare)+"@auth.example/token?key="+url.QueryEscape(bare), 1) + "\n}\n",
		"a header":          head + "client_secret = \"x\"\n  request {\n    headers = { X-Canary = \"" + bare + "\\n\" }\n  }\n}\n",
		"a query":           head + "client_secret = \"x\"\n  request {\n    query = { \"grant_type\" = " + secret + " }\n  }\n}\n",
		"the state's key":   strings.Replace(house, "path =", "key = "+secret+"\n  path =", 1) + "state \"file\" {\n  key = " + secret + "\n}\n",
		"a stray brace":     head + "}\nclient_secret = " + secret + "\n}\n",
		"a heredoc":         head + "client_secret = <<EOT\n" + bare + "\n",
	}
}

// With debug logs on and every error path taken, no secret is seen in any shape.
func TestNoSecretIsSeenWhateverGoesWrong(t *testing.T) {
	t.Parallel()
	b := newBell()
	a, d := newAviary(t, b), place(t, b)
	var said told
	d.httpAddress = freeAddress(t)
	good := a.config(t, d)
	d.write(t, "tokend.hcl", good)
	d.build(t)
	d.run(t)
	a.provoke(t, d, &said)
	a.answers(t, d, &said)
	a.spoil(t, d, &said, good)
	a.run(t, d, &said)
	d.stop(t)

	hooked := d.read("hooked")
	if !strings.Contains(hooked, "TOKEND_GENERATION") || !strings.Contains(hooked, "hook.sh") {
		t.Errorf("the hook has not shown its environment and arguments: %q", hooked)
	}
	said.hear("the hook's environment", []byte(hooked))
	said.hear("the log", d.log.bytes())
	said.hear("the sealed state", []byte(d.read("state/tokend.db")))
	said.check(t, a.canaries)
	found, err := a.readable(d.dir)
	if err != nil || len(found) > 0 {
		t.Errorf("files that everybody may read: %v %q", err, found)
	}
	if len(a.missing) > 0 {
		t.Errorf("requests came without %q: this proves nothing", a.missing)
	}
	if len(a.leaks([]byte(d.read("out/login-invalid-grant")))) == 0 {
		t.Error("the detector does not find a token in the file that holds one: this proves nothing")
	}
}

// provoke takes every token through its bad answer, as a login or as a refresh.
func (a *aviary) provoke(t *testing.T, d *daemon, said *told) {
	t.Helper()
	client := d.client(t)
	var all sync.WaitGroup
	for _, name := range append(a.names(), "refresh-troubled") {
		all.Go(func() {
			for range 3 {
				said.fault("a command's error", client.Refresh(t.Context(), name, false))
			}
			said.fault("a command's error", client.Refresh(t.Context(), name, true))
		})
	}
	all.Wait()
	for _, event := range []string{"attempt_failed", "refresh_refused", "odd_answer", "sink_failed", "hook_failed", "probe_failed", "probe_refused", "throttled"} {
		d.await(t, "the log tells of "+event, func() bool { return d.log.count(event, "") > 0 })
	}
	d.await(t, "every class was met", func() bool {
		log := d.log.bytes()
		for _, class := range []token.Class{token.Ambiguous, token.Transient, token.Rejected, token.Misconfigured} {
			if !bytes.Contains(log, []byte(`"class":"`+class.String()+`"`)) {
				return false
			}
		}
		return true
	})
	for _, name := range []string{"no-such-token", "login-invalid-grant"} {
		_, err := client.Token(t.Context(), name, 100*60*60*1e9)
		said.fault("a command's error", err)
	}
}

// answers asks everything that answers without a secret.
func (a *aviary) answers(t *testing.T, d *daemon, said *told) {
	t.Helper()
	status, err := json.Marshal(d.app.Status())
	if err != nil {
		t.Fatal(err)
	}
	said.hear("the status", status)
	prints, err := d.client(t).Fingerprints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said.hear("the fingerprints", fmt.Append(nil, prints))
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/", "/status", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/vars"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.httpAddress+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		said.hear("http", fmt.Appendf(nil, "%s %s", response.Status, body))
		if strings.HasPrefix(path, "/debug") && response.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers with %s", path, response.Status)
		}
	}
}

// spoil puts broken configurations before everything that reads one.
func (a *aviary) spoil(t *testing.T, d *daemon, said *told, good string) {
	t.Helper()
	for name, text := range a.spoiled() {
		d.write(t, "broken.hcl", text)
		broken := []string{d.path("broken.hcl")}
		_, err := app.New(t.Context(), app.Options{ConfigPaths: broken, LogOutput: io.Discard})
		if err == nil {
			t.Errorf("%s: this configuration is not broken", name)
		}
		said.fault("a refused configuration", err)
		_, err = app.Plan(t.Context(), app.PlanOptions{ConfigPaths: broken})
		said.fault("a refused configuration", err)
		_, report := config.Load(broken, config.Options{CheckTemplate: app.CheckTemplate})
		var shown bytes.Buffer
		if err := report.Write(&shown, true, 100); err != nil {
			t.Error(err)
		}
		said.hear("a report", shown.Bytes())
		d.replace(t, "tokend.hcl", text)
		said.fault("a refused reload", d.client(t).Reload(t.Context()))
		status, _ := json.Marshal(d.app.Status().Config)
		said.hear("the status", status)
	}
	remove(t, d.path("broken.hcl"))
	d.replace(t, "tokend.hcl", good)
	if err := d.client(t).Reload(t.Context()); err != nil {
		t.Error(err)
	}
}

// run lets the commands speak, with everything they print.
func (a *aviary) run(t *testing.T, d *daemon, said *told) {
	t.Helper()
	bin := d.path("tokend")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "../../cmd/tokend")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d.write(t, "broken.hcl", a.spoiled()["misspelt"])
	socket := []string{"--socket", d.path("run/control.sock")}
	for _, args := range [][]string{
		{"validate", "--config", d.path("tokend.hcl")},
		{"validate", "--config", d.path("tokend.hcl"), "--output", "json"},
		{"validate", "--config", d.path("broken.hcl")},
		{"validate", "--config", d.path("broken.hcl"), "--output", "json"},
		{"run", "--config", d.path("broken.hcl")},
		{"once", "--config", d.path("broken.hcl")},
		{"run", "--config", d.path("tokend.hcl")}, // whose state is taken
		append([]string{"plan", "--config", d.path("tokend.hcl")}, socket...),
		append([]string{"plan", "--config", d.path("tokend.hcl"), "--output", "json"}, socket...),
		append([]string{"plan", "--config", d.path("broken.hcl")}, socket...),
		append([]string{"status"}, socket...),
		append([]string{"status", "--output", "json"}, socket...),
		append([]string{"wait", "--timeout", "100ms", "--min-ttl", "100h"}, socket...),
		append([]string{"get", "no-such-token"}, socket...),
		append([]string{"get", "refresh-troubled", "--min-ttl", "100h"}, socket...),
		append([]string{"refresh", "refresh-html-500"}, socket...),
		append([]string{"reload"}, socket...),
	} {
		out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
		if _, ended := err.(*exec.ExitError); err != nil && !ended {
			t.Fatalf("tokend %q: %v", args, err)
		}
		if len(out) == 0 && args[0] != "reload" {
			t.Errorf("tokend %q says nothing", args)
		}
		said.hear("tokend "+args[0], out)
	}
	remove(t, d.path("broken.hcl"))
	if err := os.Remove(bin); err != nil {
		t.Error(err)
	}
}

// freeAddress is one on loopback where nobody listens at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
