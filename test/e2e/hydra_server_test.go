package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// hydra is a running Ory Hydra. A refresh there kills the previous access token
// at once, and re-use of a refresh token kills the whole family.
type hydra struct {
	*tokend.Process
	bin, dir, public, admin string
}

const hydraConfig = `
dsn: sqlite://%[1]s?_fk=true&_busy_timeout=5000
log: {level: warn}
serve:
  public: {host: 127.0.0.1, port: %[2]d}
  admin: {host: 127.0.0.1, port: %[3]d}
urls:
  self: {issuer: "http://127.0.0.1:%[2]d"}
  login: "http://127.0.0.1:%[2]d/login"
  consent: "http://127.0.0.1:%[2]d/consent"
secrets: {system: ["for-tests-only-0123456789abcdef"]}
ttl: {access_token: %[4]s, refresh_token: 24h}
oauth2: {hashers: {algorithm: pbkdf2, pbkdf2: {iterations: 1}}}
sqa: {opt_out: true}
`

// hydraSeed is a database with Hydra's schema and keys. Migrations and 4096-bit
// RSA keys take seconds of a processor, so that they are made once.
type hydraSeed struct {
	once sync.Once
	path string // empty when it could not be made
}

const hydraDatabase = "hydra.sqlite"

func (s *hydraSeed) make(t *testing.T, dir string) {
	t.Helper()
	h := newHydra(t, dir, time.Minute)
	if err := run(h.dir, h.bin, "migrate", "sql", "up", "--yes", "--read-from-env", "--config", h.config()); err != nil {
		t.Fatal(err)
	}
	h.serve(t)
	first := client{"seed", "seed-secret"}
	h.register(t, first, "client_secret_basic", "authorization_code", "refresh_token")
	h.authorize(t, first) // Hydra makes its keys when it first needs them
	h.Signal(t, syscall.SIGTERM)
	h.Exit(t, 30*time.Second)
	s.path = filepath.Join(h.dir, hydraDatabase)
}

// startHydra runs Hydra on a database file of its own, so that a restarted
// server still knows its clients and families.
func startHydra(t *testing.T, lifetime time.Duration) *hydra {
	t.Helper()
	lab.seed.once.Do(func() { lab.seed.make(t, lab.dir) })
	if lab.seed.path == "" {
		t.Fatal("there is no database for Hydra, as an earlier test said")
	}
	h := newHydra(t, t.TempDir(), lifetime)
	if err := copyFile(lab.seed.path, filepath.Join(h.dir, hydraDatabase)); err != nil {
		t.Fatal(err)
	}
	h.serve(t)
	return h
}

// newHydra writes the config and starts nothing.
func newHydra(t *testing.T, dir string, lifetime time.Duration) *hydra {
	t.Helper()
	h := &hydra{bin: must(lab.hydra())(t), dir: dir}
	public, admin := freePort(t), freePort(t)
	h.public = fmt.Sprintf("http://127.0.0.1:%d", public)
	h.admin = fmt.Sprintf("http://127.0.0.1:%d", admin)
	config := fmt.Sprintf(hydraConfig, filepath.Join(h.dir, hydraDatabase), public, admin, lifetime)
	if err := os.WriteFile(h.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hydra) config() string { return filepath.Join(h.dir, "hydra.yml") }

func (h *hydra) serve(t *testing.T) {
	t.Helper()
	h.Process = tokend.Start(t, "hydra", h.bin, "serve", "all", "--dev", "--config", h.config())
	tokend.Await(t, 30*time.Second, "hydra is ready", func() bool {
		resp, err := httpClient().Get(h.admin + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// register creates a client; auth is its token_endpoint_auth_method.
func (h *hydra) register(t *testing.T, c client, auth string, grants ...string) {
	t.Helper()
	h.adminDo(t, http.MethodPost, "/admin/clients", map[string]any{
		"client_id":                  c.id,
		"client_secret":              c.secret,
		"grant_types":                grants,
		"response_types":             []string{"code"},
		"redirect_uris":              []string{h.public + "/callback"},
		"scope":                      "offline api",
		"token_endpoint_auth_method": auth,
	})
}

// adminDo returns the redirect_to of the answer, where it has one.
func (h *hydra) adminDo(t *testing.T, method, path string, body any) string {
	t.Helper()
	content := must(json.Marshal(body))(t)
	req := must(http.NewRequestWithContext(t.Context(), method, h.admin+path, bytes.NewReader(content)))(t)
	req.Header.Set("Content-Type", "application/json")
	resp := must(httpClient().Do(req))(t)
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	var answer struct {
		RedirectTo string `json:"redirect_to"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer.RedirectTo
}

// authorize goes through the authorization-code flow (RFC 6749 section 4.1) as a
// browser and a user would, and returns what the code was exchanged for.
func (h *hydra) authorize(t *testing.T, c client) answer {
	t.Helper()
	jar := must(cookiejar.New(nil))(t)
	browser := httpClient()
	browser.Jar = jar
	browser.Timeout = time.Minute // the first time, Hydra makes keys
	login := h.follow(t, browser, h.public+"/oauth2/auth?"+url.Values{
		"client_id": {c.id}, "response_type": {"code"}, "scope": {"offline api"},
		"redirect_uri": {h.public + "/callback"}, "state": {"0123456789abcdef"},
	}.Encode())
	next := h.adminDo(t, http.MethodPut,
		"/admin/oauth2/auth/requests/login/accept?login_challenge="+login.Get("login_challenge"),
		map[string]any{"subject": "ann"})
	consent := h.follow(t, browser, next)
	next = h.adminDo(t, http.MethodPut,
		"/admin/oauth2/auth/requests/consent/accept?consent_challenge="+consent.Get("consent_challenge"),
		map[string]any{"grant_scope": []string{"offline", "api"}})
	code := h.follow(t, browser, next).Get("code")
	a := c.post(t, h.token(), url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {h.public + "/callback"},
	})
	if a.RefreshToken == "" {
		t.Fatalf("the code was exchanged for no refresh token: %d %s", a.status, a.Error)
	}
	return a
}

// follow opens an address and returns the query that it redirects to.
func (h *hydra) follow(t *testing.T, browser *http.Client, address string) url.Values {
	t.Helper()
	resp := must(browser.Get(address))(t)
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatalf("no redirect: %s", resp.Status)
	}
	return to.Query()
}

func (h *hydra) token() string { return h.public + "/oauth2/token" }

func (h *hydra) Introspect(ctx context.Context, accessToken string) (bool, error) {
	a, err := post(ctx, h.admin+"/admin/oauth2/introspect", client{}, url.Values{"token": {accessToken}})
	return a.Active, err
}

// revoke ends the family that a token belongs to (RFC 7009 section 2.1).
func (h *hydra) revoke(t *testing.T, c client, token string) {
	t.Helper()
	if a := c.post(t, h.public+"/oauth2/revoke", url.Values{"token": {token}}); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.Error)
	}
}
