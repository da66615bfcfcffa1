package faults

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

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
