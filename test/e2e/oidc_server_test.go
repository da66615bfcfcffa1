package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// oidc is a running oidc-provider. Re-use of a refresh token kills the whole
// grant; a refresh leaves the previous access token alive.
type oidc struct {
	*tokend.Process
	dir, base string
	options   oidcOptions
}

type oidcOptions struct {
	Port     int               `json:"port"`
	TTL      int               `json:"ttl"` // seconds
	Store    string            `json:"store"`
	Clients  []oidcClient      `json:"clients"`
	Accounts map[string]string `json:"accounts"`
}

type oidcClient struct {
	ID     string   `json:"client_id"`
	Secret string   `json:"client_secret"`
	Grants []string `json:"grant_types"`
}

// oidcEvent is what the provider reports of itself.
type oidcEvent struct {
	Event  string `json:"event"` // ready, granted, refused, revoked, done
	Client string `json:"client"`
	Grant  string `json:"grant"`
	Error  string `json:"error"`
	Detail string `json:"detail"`
}

func appClient() client  { return client{"app", "s3cret/with+odd=chars&%"} }
func userClient() client { return client{"portal", "portal-secret"} }

func startOIDC(t *testing.T, lifetime time.Duration) *oidc {
	t.Helper()
	o := &oidc{dir: t.TempDir()}
	modules := must(lab.oidc())(t)
	if err := os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(o.dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	if err := copyFile("../oidc/server.mjs", filepath.Join(o.dir, "server.mjs")); err != nil {
		t.Fatal(err)
	}
	app, user := appClient(), userClient()
	o.options = oidcOptions{
		Port:  freePort(t),
		TTL:   int(lifetime / time.Second),
		Store: filepath.Join(o.dir, "store.json"),
		Clients: []oidcClient{
			{app.id, app.secret, []string{"client_credentials"}},
			{user.id, user.secret, []string{"password", "refresh_token"}},
		},
		Accounts: map[string]string{"ann": "ann's password"},
	}
	o.base = fmt.Sprintf("http://127.0.0.1:%d", o.options.Port)
	o.serve(t)
	return o
}

func (o *oidc) serve(t *testing.T) {
	t.Helper()
	options := must(json.Marshal(o.options))(t)
	o.Process = tokend.Start(t, "oidc-provider", "node", filepath.Join(o.dir, "server.mjs"), string(options))
	tokend.Await(t, 20*time.Second, "oidc-provider is ready", func() bool {
		return o.count("ready", "", "") == 1 || !o.Running()
	})
	if !o.Running() {
		t.Fatal("oidc-provider ended at once")
	}
}

// forget drops what the provider keeps, as a server that lost its database.
func (o *oidc) forget(t *testing.T) {
	t.Helper()
	if err := os.Remove(o.options.Store); err != nil {
		t.Fatal(err)
	}
}

// dropRefreshTokens revokes every refresh token and leaves the access tokens.
func (o *oidc) dropRefreshTokens(t *testing.T) {
	t.Helper()
	before := o.count("done", "", "")
	if _, err := fmt.Fprintln(o.Stdin, `{"do":"drop-refresh-tokens"}`); err != nil {
		t.Fatal(err)
	}
	tokend.Await(t, 5*time.Second, "the refresh tokens are dropped", func() bool { return o.count("done", "", "") > before })
}

// events returns what the provider reported since it was started last.
func (o *oidc) events() []oidcEvent {
	var events []oidcEvent
	for lines := bufio.NewScanner(bytes.NewReader(o.Log.Bytes())); lines.Scan(); {
		var e oidcEvent
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// count counts events; an empty client or grant matches all.
func (o *oidc) count(event, client, grant string) int {
	n := 0
	for _, e := range o.events() {
		if e.Event == event && (client == "" || e.Client == client) && (grant == "" || e.Grant == grant) {
			n++
		}
	}
	return n
}

func (o *oidc) token() string { return o.base + "/token" }

func (o *oidc) Introspect(ctx context.Context, accessToken string) (bool, error) {
	a, err := post(ctx, o.base+"/token/introspection", appClient(), url.Values{"token": {accessToken}})
	return a.Active, err
}

// revoke ends the grant that a token belongs to (RFC 7009 section 2.1).
func (o *oidc) revoke(t *testing.T, c client, token string) {
	t.Helper()
	if a := c.post(t, o.base+"/token/revocation", url.Values{"token": {token}}); a.status != http.StatusOK {
		t.Fatalf("revoke: %d %s", a.status, a.Error)
	}
}
