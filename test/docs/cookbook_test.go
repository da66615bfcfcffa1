package docs

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// acme is the API that the cookbook invents, as its documentation there has it.
type acme struct {
	mu            sync.Mutex
	logins        int
	renewals      int
	misunderstood []string
}

func (a *acme) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Header.Get("X-Partner-Id") != "partner-17" {
		a.refuse(w, "X-Partner-Id is missing from %s %s", r.Method, r.URL.Path)
		return
	}
	switch r.Method + " " + r.URL.String() {
	case "GET /v2/me":
		if r.Header.Get("Authorization") != fmt.Sprintf("Bearer session-%d", a.logins+a.renewals) {
			w.WriteHeader(http.StatusUnauthorized)
		}
	case "POST /v2/session?tenant=acme":
		a.session(w, r)
	default:
		a.refuse(w, "nothing is at %s %s", r.Method, r.URL)
	}
}

func (a *acme) session(w http.ResponseWriter, r *http.Request) {
	switch content := r.Header.Get("Content-Type"); {
	case strings.HasPrefix(content, "application/json"):
		var in map[string]string
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in["grant_type"] != "api_key" || in["apiKey"] != "key-17" || in["apiSecret"] == "" {
			a.refuse(w, "a login with %v: %v", in, err)
			return
		}
		if _, _, is := r.BasicAuth(); is || in["client_secret"] != "" {
			a.refuse(w, "a login with the secret of a renewal")
			return
		}
		a.logins++
	case strings.HasPrefix(content, "application/x-www-form-urlencoded"):
		user, secret, _ := r.BasicAuth()
		if user != "partner-17" || secret == "" || r.PostFormValue("grant_type") != "refresh_token" || r.PostFormValue("mode") != "renew" ||
			r.PostFormValue("refresh_token") != fmt.Sprintf("renewal-%d", a.logins+a.renewals) {
			a.refuse(w, "a renewal by %s with %v", user, r.PostForm)
			return
		}
		a.renewals++
	default:
		a.refuse(w, "a body of %s", content)
		return
	}
	n := a.logins + a.renewals
	_, _ = fmt.Fprintf(w, `{"data": {"session": {"jwt": "session-%d", "renewal": "renewal-%d"}}, "status": "ok"}`, n, n)
}

func (a *acme) refuse(w http.ResponseWriter, format string, args ...any) {
	a.misunderstood = append(a.misunderstood, fmt.Sprintf(format, args...))
	w.WriteHeader(http.StatusBadRequest)
}

// TestWorkedExampleOfTheCookbookWorks runs the configuration that the cookbook
// derives, against a server that takes nothing but what the documentation says.
func TestWorkedExampleOfTheCookbookWorks(t *testing.T) {
	t.Parallel()
	api := &acme{}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	m := newMachine(t, buildTokend(t))
	m.url = server.URL
	for _, b := range blocks(t, root+"/docs/provider-cookbook.md", "hcl") {
		if strings.Contains(b.text(), `provider "acme"`) {
			m.write(t, m.root+"/etc/tokend/acme.hcl", m.here(b.text()))
		}
	}
	for _, line := range []string{"systemctl start tokend", "tokend refresh acme", "tokend get acme --min-ttl 44m"} {
		out, code := m.sh(t, line)
		if code != 0 {
			t.Fatalf("$ %s\nends with %d\n%s", line, code, out)
		}
		if line == "tokend get acme --min-ttl 44m" && strings.TrimSpace(out) != "session-2" {
			t.Errorf("the token is %q", out)
		}
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	if api.logins != 1 || api.renewals != 1 || len(api.misunderstood) > 0 {
		t.Errorf("%d logins, %d renewals; refused: %v", api.logins, api.renewals, api.misunderstood)
	}
}
