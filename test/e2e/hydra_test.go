package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// hydraLifetime is what Hydra is told; its expires_in says a second less.
const hydraLifetime = 5 * time.Second

// moments is how long a token may be dead in its file when the server kills it
// at refresh: state, sink and rename, on a busy machine.
const moments = 250 * time.Millisecond

func hydraProvider(h *hydra, c client) string {
	return fmt.Sprintf(`
provider "hydra" {
  token_endpoint = %q
  client_id      = %q
  client_secret  = %q
  schedule {
    refresh_at   = 0.6
    lead         = "1s"
    min_interval = "1s"
  }
}
`, h.token(), c.id, c.secret)
}

func clientCredentialsToken(name, provider string) string {
	return fmt.Sprintf(`
token %q {
  provider = %q
  grant "client_credentials" {
    scope = ["api"]
  }
  sink "file" {
    path = "DIR/out/%s"
  }
}
`, name, provider, name)
}

func refreshTokenToken(refreshToken string) string {
	return fmt.Sprintf(`
token "portal" {
  provider = "hydra"
  grant "refresh_token" {
    refresh_token = %q
  }
  sink "file" {
    path = "DIR/out/portal"
  }
}
`, refreshToken)
}

// A secret with every character that Basic must encode first, too.
func TestHydraClientCredentialsStayFresh(t *testing.T) {
	t.Parallel()
	h := startHydra(t, hydraLifetime)
	odd := oddClient()
	h.register(t, odd, "client_secret_basic", "client_credentials")
	d := newDaemon(t, hydraProvider(h, odd)+clientCredentialsToken("app", "hydra"))
	d.Run(t)
	j := watch(t, "hydra, client_credentials", d.File("app"), h, tenth)
	s := d.UntilGeneration(t, 8*hydraLifetime, "app", 7)
	v := j.rest(t)
	v.neverDead(t)
	if s.State != token.StateFresh || s.LastError != nil {
		t.Errorf("state %q, last error %+v", s.State, s.LastError)
	}
	keepsSecrets(t, d, v, odd.secret)
	d.Stop(t)
}

// webPortal is a client with a family of its own, and its first refresh token.
func webPortal(t *testing.T, h *hydra) (client, string) {
	t.Helper()
	web := client{"web", "web-secret"}
	h.register(t, web, "client_secret_basic", "authorization_code", "refresh_token")
	return web, h.authorize(t, web).RefreshToken
}

func TestHydraFamilyRotatesThroughManyGenerations(t *testing.T) {
	t.Parallel()
	h := startHydra(t, hydraLifetime)
	web, seed := webPortal(t, h)
	d := newDaemon(t, hydraProvider(h, web)+refreshTokenToken(seed))
	d.Run(t)
	j := watch(t, "hydra, rotating family", d.File("portal"), h, tenth)
	fine := watch(t, "hydra, rotating family, every 2 ms", d.File("portal"), h, 2*time.Millisecond)
	s := d.UntilGeneration(t, 12*hydraLifetime, "portal", 10)
	fine.rest(t).deadForMomentsOnly(t, moments)
	v := j.rest(t)
	v.deadForMomentsOnly(t, moments)
	// Hydra would have killed the family at the first re-use.
	if s.State != token.StateFresh || s.Logins != 0 || s.Refreshes < 10 {
		t.Errorf("state %q, %d logins, %d refreshes", s.State, s.Logins, s.Refreshes)
	}
	keepsSecrets(t, d, v, seed, web.secret)
	d.Stop(t)
}

func TestHydraFamilyOutlivesARestartOfTheDaemon(t *testing.T) {
	t.Parallel()
	h := startHydra(t, hydraLifetime)
	web, seed := webPortal(t, h)
	d := newDaemon(t, hydraProvider(h, web)+refreshTokenToken(seed))
	d.Run(t)
	before := d.UntilGeneration(t, 20*time.Second, "portal", 3).Generation
	for range 3 {
		d.Stop(t)
		d.Run(t)
		// The seed in the config is long used; only the state knows better.
		before = d.UntilGeneration(t, 20*time.Second, "portal", before+1).Generation
	}
	tokend.Await(t, 2*time.Second, "there is a live token after three restarts", func() bool {
		return live(t, h, d.Content("portal"))
	})
	d.Stop(t)
}

func TestHydraRevokedFamilyNeedsAHumanAndKeepsItsFileUntilANewSeed(t *testing.T) {
	t.Parallel()
	h := startHydra(t, 10*time.Second)
	web, seed := webPortal(t, h)
	d := newDaemon(t, hydraProvider(h, web)+refreshTokenToken(seed))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "portal", 1)
	tokend.Await(t, 5*time.Second, "the file is there", func() bool { return d.Content("portal") != "" })
	last := d.Content("portal")
	h.revoke(t, web, last)
	s := d.Until(t, 20*time.Second, "portal", "asks for a human",
		func(s token.Status) bool { return s.State == token.StateHuman })
	if got := d.Content("portal"); got != last {
		t.Errorf("the last token must stay in the file, there is %q", got)
	}
	if s.LastError == nil || s.LastError.Message == "" {
		t.Error("the status must say why")
	}
	d.Configure(t, house+hydraProvider(h, web)+refreshTokenToken(h.authorize(t, web).RefreshToken))
	d.Until(t, 10*time.Second, "portal", "is fresh again by a reload",
		func(s token.Status) bool { return s.State == token.StateFresh })
	tokend.Await(t, 5*time.Second, "the new family's token is in the file", func() bool {
		got := d.Content("portal")
		return got != last && live(t, h, got)
	})
	d.Stop(t)
}

func TestHydraOutageAndRestart(t *testing.T) {
	t.Parallel()
	h := startHydra(t, 8*time.Second)
	web, seed := webPortal(t, h)
	odd := oddClient()
	h.register(t, odd, "client_secret_basic", "client_credentials")
	d := newDaemon(t, hydraProvider(h, web)+refreshTokenToken(seed)+`
provider "hydra-app" {
  token_endpoint = "`+h.token()+`"
  client_id      = "`+odd.id+`"
  client_secret  = "`+odd.secret+`"
  schedule {
    lead         = "2s"
    min_interval = "1s"
  }
}
`+clientCredentialsToken("app", "hydra-app"))
	d.Run(t)
	app := watch(t, "hydra restarted, client_credentials", d.File("app"), h, tenth)
	portal := watch(t, "hydra restarted, rotating family", d.File("portal"), h, tenth)
	generation := d.UntilGeneration(t, 30*time.Second, "portal", 2).Generation
	h.Kill()
	time.Sleep(2 * time.Second) // the outage itself
	h.serve(t)
	d.UntilGeneration(t, 30*time.Second, "portal", generation+3)
	app.rest(t).neverDead(t)
	portal.rest(t).deadForMomentsOnly(t, moments)
	if s := d.Status(t); s.Of("portal").Logins != 0 || s.Of("app").State != token.StateFresh {
		t.Errorf("after the outage: %+v", s.Tokens)
	}
	d.Stop(t)
}
