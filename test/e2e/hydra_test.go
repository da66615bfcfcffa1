package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
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
	d.run(t)
	j := watch(t, "hydra, client_credentials", d.file("app"), h, tenth)
	s := d.untilGeneration(t, 8*hydraLifetime, "app", 7)
	v := j.rest(t)
	v.neverDead(t)
	if s.State != token.StateFresh || s.LastError != nil {
		t.Errorf("state %q, last error %+v", s.State, s.LastError)
	}
	d.keepsSecrets(t, v, odd.secret)
	d.stop(t)
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
	d.run(t)
	j := watch(t, "hydra, rotating family", d.file("portal"), h, tenth)
	fine := watch(t, "hydra, rotating family, every 2 ms", d.file("portal"), h, 2*time.Millisecond)
	s := d.untilGeneration(t, 12*hydraLifetime, "portal", 10)
	fine.rest(t).deadForMomentsOnly(t, moments)
	v := j.rest(t)
	v.deadForMomentsOnly(t, moments)
	// Hydra would have killed the family at the first re-use.
	if s.State != token.StateFresh || s.Logins != 0 || s.Refreshes < 10 {
		t.Errorf("state %q, %d logins, %d refreshes", s.State, s.Logins, s.Refreshes)
	}
	d.keepsSecrets(t, v, seed, web.secret)
	d.stop(t)
}

func TestHydraFamilyOutlivesARestartOfTheDaemon(t *testing.T) {
	t.Parallel()
	h := startHydra(t, hydraLifetime)
	web, seed := webPortal(t, h)
	d := newDaemon(t, hydraProvider(h, web)+refreshTokenToken(seed))
	d.run(t)
	before := d.untilGeneration(t, 20*time.Second, "portal", 3).Generation
	for range 3 {
		d.stop(t)
		d.run(t)
		// The seed in the config is long used; only the state knows better.
		before = d.untilGeneration(t, 20*time.Second, "portal", before+1).Generation
	}
	await(t, 2*time.Second, "there is a live token after three restarts", func() bool {
		return live(t, h, d.content("portal"))
	})
	d.stop(t)
}

func TestHydraRevokedFamilyNeedsAHumanAndKeepsItsFileUntilANewSeed(t *testing.T) {
	t.Parallel()
	h := startHydra(t, 10*time.Second)
	web, seed := webPortal(t, h)
	d := newDaemon(t, hydraProvider(h, web)+refreshTokenToken(seed))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "portal", 1)
	await(t, 5*time.Second, "the file is there", func() bool { return d.content("portal") != "" })
	last := d.content("portal")
	h.revoke(t, web, last)
	s := d.until(t, 20*time.Second, "portal", "asks for a human",
		func(s token.Status) bool { return s.State == token.StateHuman })
	if got := d.content("portal"); got != last {
		t.Errorf("the last token must stay in the file, there is %q", got)
	}
	if s.LastError == nil || s.LastError.Message == "" {
		t.Error("the status must say why")
	}
	d.configure(t, house+hydraProvider(h, web)+refreshTokenToken(h.authorize(t, web).RefreshToken))
	d.until(t, 10*time.Second, "portal", "is fresh again by a reload",
		func(s token.Status) bool { return s.State == token.StateFresh })
	await(t, 5*time.Second, "the new family's token is in the file", func() bool {
		got := d.content("portal")
		return got != last && live(t, h, got)
	})
	d.stop(t)
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
	d.run(t)
	app := watch(t, "hydra restarted, client_credentials", d.file("app"), h, tenth)
	portal := watch(t, "hydra restarted, rotating family", d.file("portal"), h, tenth)
	generation := d.untilGeneration(t, 30*time.Second, "portal", 2).Generation
	h.kill()
	time.Sleep(2 * time.Second) // the outage itself
	h.serve(t)
	d.untilGeneration(t, 30*time.Second, "portal", generation+3)
	app.rest(t).neverDead(t)
	portal.rest(t).deadForMomentsOnly(t, moments)
	if s := d.status(t); s.of("portal").Logins != 0 || s.of("app").State != token.StateFresh {
		t.Errorf("after the outage: %+v", s.Tokens)
	}
	d.stop(t)
}
