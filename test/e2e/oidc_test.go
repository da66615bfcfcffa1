package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const oidcLifetime = 4 * time.Second

func oidcProvider(o *oidc, name string, c client) string {
	return fmt.Sprintf(`
provider %q {
  token_endpoint = %q
  client_id      = %q
  client_secret  = %q
  schedule {
    refresh_at   = 0.6
    lead         = "1s"
    min_interval = "1s"
  }
}
`, name, o.token(), c.id, c.secret)
}

func passwordToken(o *oidc) string {
	return oidcProvider(o, "portal", userClient()) + fmt.Sprintf(`
token "ann" {
  provider = "portal"
  grant "password" {
    username = "ann"
    password = %q
    scope    = "openid api"
  }
  sink "file" {
    path = "DIR/out/ann"
  }
}
`, o.options.Accounts["ann"])
}

func TestOIDCProviderClientCredentialsStayFresh(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, oidcProvider(o, "app", appClient())+clientCredentialsToken("app", "app"))
	d.run(t)
	j := watch(t, "oidc-provider, client_credentials", d.file("app"), o, tenth)
	d.untilGeneration(t, 10*oidcLifetime, "app", 7)
	v := j.rest(t)
	v.neverDead(t)
	d.keepsSecrets(t, v, appClient().secret)
	d.stop(t)
}

func TestOIDCProviderPasswordRotatesUnderReuseDetection(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, passwordToken(o))
	d.run(t)
	j := watch(t, "oidc-provider, password, rotating", d.file("ann"), o, tenth)
	s := d.untilGeneration(t, 15*oidcLifetime, "ann", 12)
	v := j.rest(t)
	v.neverDead(t)
	if lost := d.lostAnswers("ann"); s.Logins > 1+lost || o.count("granted", "", "password") > 1+int(lost) {
		t.Errorf("%d logins by the status, %d lost answers, at the server: %+v", s.Logins, lost, o.events())
	}
	if o.count("revoked", "", "")+o.count("refused", "", "") != 0 {
		t.Errorf("the server refused or revoked: %+v", o.events())
	}
	d.keepsSecrets(t, v, o.options.Accounts["ann"], userClient().secret)
	d.stop(t)
}

func TestOIDCProviderRevokedRefreshTokenLogsInAtOnce(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, passwordToken(o))
	d.run(t)
	j := watch(t, "oidc-provider, refresh tokens revoked", d.file("ann"), o, tenth)
	generation := d.untilGeneration(t, 20*time.Second, "ann", 2).Generation
	o.dropRefreshTokens(t)
	d.until(t, 2*oidcLifetime, "ann", "has logged in anew", func(s token.Status) bool { return s.Logins >= 2 })
	s := d.untilGeneration(t, 4*oidcLifetime, "ann", generation+3)
	j.rest(t).neverDead(t) // the access token outlived its refresh token
	if lost := d.lostAnswers("ann"); s.Logins > 2+lost || o.count("refused", "", "refresh_token") != 1 {
		t.Errorf("%d logins, %d lost answers, at the server: %+v", s.Logins, lost, o.events())
	}
	d.stop(t)
}

func TestOIDCProviderRevokedGrantIsLiveAgainWithinASecondOfItsRefresh(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, time.Minute)
	d := newDaemon(t, passwordToken(o))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "ann", 1)
	await(t, 5*time.Second, "the file is there", func() bool { return d.content("ann") != "" })
	time.Sleep(time.Second) // min_interval must have passed, or it would be waited for
	o.revoke(t, userClient(), d.content("ann"))
	began := time.Now()
	if _, err := d.command(t, "refresh", "ann"); err != nil {
		t.Fatal(err)
	}
	await(t, 2*time.Second, "the file holds a live token", func() bool { return live(t, o, d.content("ann")) })
	lab.reports.add(fmt.Sprintf("oidc-provider, revoked grant: live again %.0f ms after the refused refresh", milliseconds(time.Since(began))))
	d.stop(t)
}

func TestOIDCProviderOutageAndRestart(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, 8*time.Second)
	d := newDaemon(t, passwordToken(o)+oidcProvider(o, "app", appClient())+clientCredentialsToken("app", "app"))
	d.run(t)
	ann := watch(t, "oidc-provider restarted, password", d.file("ann"), o, tenth)
	app := watch(t, "oidc-provider restarted, client_credentials", d.file("app"), o, tenth)
	generation := d.untilGeneration(t, 30*time.Second, "ann", 2).Generation
	o.kill()
	time.Sleep(2 * time.Second) // the outage itself
	o.serve(t)
	s := d.untilGeneration(t, 30*time.Second, "ann", generation+3)
	ann.rest(t).neverDead(t)
	app.rest(t).neverDead(t)
	if lost := d.lostAnswers("ann"); s.Logins > 1+lost || o.count("revoked", "", "") != 0 {
		t.Errorf("%d logins, %d lost answers: an outage must not cost the family", s.Logins, lost)
	}
	d.stop(t)
}

func TestOIDCProviderThatForgotEverythingIsLoggedInToAnew(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, passwordToken(o))
	d.run(t)
	generation := d.untilGeneration(t, 20*time.Second, "ann", 2).Generation
	o.kill()
	o.forget(t)
	o.serve(t)
	d.untilGeneration(t, 4*oidcLifetime, "ann", generation+2)
	await(t, 5*time.Second, "the file holds a live token", func() bool { return live(t, o, d.content("ann")) })
	if n, lost := o.count("granted", "", "password"), d.lostAnswers("ann"); n > 1+int(lost) {
		t.Errorf("%d logins after the loss, %d lost answers", n, lost)
	}
	d.stop(t)
}
