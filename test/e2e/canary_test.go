package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// canaries is an authorization server that answers well at first and then in the
// way that the username asks for, with every secret it knows in the answer. It
// remembers all that must never be seen.
type canaries struct {
	*httptest.Server

	mu      sync.Mutex
	secrets []string
	asked   map[string]int    // requests by username
	users   map[string]string // by refresh token
}

// names are those of the tokens, and of their users.
func (c *canaries) names() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, place := range []string{"form", "query"} {
			for leak := range leaks() {
				if !yield(place + "." + leak) {
					return
				}
			}
		}
	}
}

// leaks are answers that carry secrets to where a careless client shows them.
func leaks() map[string]func(w http.ResponseWriter, r *http.Request, secrets string) {
	return map[string]func(w http.ResponseWriter, r *http.Request, secrets string){
		"description": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant", "error_description": secrets})
		},
		"code": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": secrets})
		},
		"html": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = fmt.Fprintf(w, "<html>%s</html>", secrets)
		},
		"html-200": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			_, _ = fmt.Fprintf(w, "<html>%s</html>", secrets)
		},
		"redirect": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			w.Header().Set("Location", "http://127.0.0.1:1/?"+url.QueryEscape(secrets))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"truncated": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			_, _ = fmt.Fprintf(w, `{"scope":%q,"access_token":"`, secrets)
		},
		"token-type": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			_ = json.NewEncoder(w).Encode(map[string]string{"access_token": "at", "token_type": secrets})
		},
		"lifetime": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			_ = json.NewEncoder(w).Encode(map[string]string{"access_token": secrets, "token_type": "Bearer", "expires_in": secrets})
		},
		"header": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			w.Header().Set("Retry-After", secrets)
			w.Header().Set("WWW-Authenticate", secrets)
			w.WriteHeader(http.StatusTooManyRequests)
		},
		"reset": func(w http.ResponseWriter, _ *http.Request, _ string) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0) // close resets
				_ = conn.Close()
			}
		},
		"garbage": func(w http.ResponseWriter, _ *http.Request, secrets string) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = fmt.Fprintf(conn, "%s\r\n\r\n", secrets)
				_ = conn.Close()
			}
		},
	}
}

// clientSecret changes when it is form-encoded, and again in base64.
const clientSecret = "client/secret+with spaces&more=things%"

func startCanaries(t *testing.T) *canaries {
	t.Helper()
	c := &canaries{secrets: []string{clientSecret}, asked: map[string]int{}, users: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *canaries) serve(w http.ResponseWriter, r *http.Request) {
	refreshToken := r.FormValue("refresh_token")
	c.mu.Lock()
	user := r.FormValue("username")
	if user == "" {
		user = c.users[refreshToken]
	}
	c.asked[user]++
	secrets := strings.Join([]string{refreshToken, clientSecret, r.FormValue("password"), r.Header.Get("Authorization"), r.URL.RawQuery}, " ")
	leak := leaks()[user[strings.Index(user, ".")+1:]]
	if c.asked[user] == 1 || c.asked[user] > 3 {
		leak = nil
	}
	answer := map[string]any{
		"access_token": "access-" + rand.Text(), "refresh_token": "refresh-" + rand.Text(), "expires_in": 3, "token_type": "Bearer",
	}
	if leak == nil {
		c.secrets = append(c.secrets, answer["access_token"].(string), answer["refresh_token"].(string))
		c.users[answer["refresh_token"].(string)] = user
	}
	c.mu.Unlock()
	if leak != nil {
		leak(w, r, secrets)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// config has two providers, since a URL with everything in its query is shown in
// other places than a form is.
func (c *canaries) config() string {
	var b strings.Builder
	for _, place := range []string{"form", "query"} {
		method := map[string]string{"form": "POST", "query": "GET"}[place]
		fmt.Fprintf(&b, `
provider %[1]q {
  token_endpoint = %[2]q
  client_id      = "canary"
  client_secret  = %[3]q
  request {
    method    = %[4]q
    params_in = %[1]q
  }
  schedule {
    refresh_at   = 0.3
    lead         = "500ms"
    min_interval = "200ms"
  }
}
`, place, c.URL, clientSecret, method)
		for leak := range leaks() {
			name := place + "." + leak
			fmt.Fprintf(&b, `
token %[1]q {
  provider = %[2]q
  grant "password" {
    username = %[1]q
    password = "password of %[1]s/+&"
  }
  probe {
    url   = "%[3]s/?a-query=%[1]s"
    every = "1s"
  }
  sink "file" {
    path = "DIR/out/%[1]s"
  }
  on_update {
    command = ["/bin/sh", "-c", "env >> DIR/hooks; cat /proc/self/cmdline >> DIR/hooks; exit 1"]
    timeout = "5s"
  }
}
`, name, place, c.URL)
			c.secrets = append(c.secrets, "password of "+name+"/+&")
		}
	}
	return b.String()
}

// shapes are the ways in which a secret may come out.
func shapes(secret string) []string {
	all := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), fmt.Sprintf("%x", secret),
		base64.StdEncoding.EncodeToString([]byte("canary:" + secret)),
		base64.StdEncoding.EncodeToString([]byte("canary:" + url.QueryEscape(secret))),
	}
	// In the middle of a longer text base64 depends on the place within three bytes.
	for skip := range 3 {
		inner := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("x", skip) + secret))
		all = append(all, inner[4:len(inner)-4])
	}
	return all
}

func TestNoSecretIsInLogsStatusErrorsOrHooksWhateverTheServerAnswers(t *testing.T) {
	t.Parallel()
	c := startCanaries(t)
	d := newDaemon(t, c.config())
	d.Run(t)
	var seen bytes.Buffer
	look := func(args ...string) {
		out, err := d.Command(t, args...)
		fmt.Fprintf(&seen, "%s\n%v\n", out, err)
	}
	for name := range c.names() {
		d.Until(t, time.Minute, name, "has met the leak twice", func(token.Status) bool { return c.requests(name) >= 3 })
		look("status", name)
	}
	look("status", "--output", "json")
	look("refresh", "form.html", "query.description")
	look("plan", "--config", d.Config())
	d.Stop(t)
	hooks, err := os.ReadFile(d.Dir + "/hooks")
	if err != nil || !bytes.Contains(hooks, []byte("TOKEND_GENERATION")) {
		t.Errorf("the hooks did not run: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for where, text := range map[string][]byte{"the log": d.Log.Bytes(), "a command's output": seen.Bytes(), "a hook": hooks} {
		for _, secret := range c.secrets {
			for _, shape := range shapes(secret) {
				if at := bytes.Index(text, []byte(shape)); at >= 0 {
					t.Errorf("%q as %q is in %s: …%q…", secret, shape, where, text[max(0, at-300):min(len(text), at+100)])
				}
			}
		}
	}
	t.Logf("%d secrets in %d bytes of log, %d of output and %d of hooks", len(c.secrets), len(d.Log.Bytes()), seen.Len(), len(hooks))
}

func (c *canaries) requests(user string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked[user]
}

// A canary that no eye would catch proves nothing.
func TestShapesOfASecretAreFound(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"x " + clientSecret + " y",
		"?client_secret=" + url.QueryEscape(clientSecret) + "&a=b",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("canary:"+url.QueryEscape(clientSecret))),
		base64.StdEncoding.EncodeToString([]byte("some json with " + clientSecret + " within")),
		base64.StdEncoding.EncodeToString([]byte("other json with " + clientSecret + " within")),
		base64.StdEncoding.EncodeToString([]byte("and json with " + clientSecret + " within")),
	} {
		if !slices.ContainsFunc(shapes(clientSecret), func(s string) bool { return strings.Contains(text, s) }) {
			t.Errorf("not found in %q", text)
		}
	}
}
