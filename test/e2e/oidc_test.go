package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/tokend"
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
	d.Run(t)
	j := watch(t, "oidc-provider, client_credentials", d.File("app"), o, tenth)
	d.UntilGeneration(t, 10*oidcLifetime, "app", 7)
	v := j.rest(t)
	v.neverDead(t)
	keepsSecrets(t, d, v, appClient().secret)
	d.Stop(t)
}

func TestOIDCProviderPasswordRotatesUnderReuseDetection(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, passwordToken(o))
	d.Run(t)
	j := watch(t, "oidc-provider, password, rotating", d.File("ann"), o, tenth)
	s := d.UntilGeneration(t, 15*oidcLifetime, "ann", 12)
	v := j.rest(t)
	v.neverDead(t)
	if lost := d.LostAnswers("ann"); s.Logins > 1+lost || o.count("granted", "", "password") > 1+int(lost) {
		t.Errorf("%d logins by the status, %d lost answers, at the server: %+v", s.Logins, lost, o.events())
	}
	if o.count("revoked", "", "")+o.count("refused", "", "") != 0 {
		t.Errorf("the server refused or revoked: %+v", o.events())
	}
	keepsSecrets(t, d, v, o.options.Accounts["ann"], userClient().secret)
	d.Stop(t)
}

func TestOIDCProviderRevokedRefreshTokenLogsInAtOnce(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, passwordToken(o))
	d.Run(t)
	j := watch(t, "oidc-provider, refresh tokens revoked", d.File("ann"), o, tenth)
	generation := d.UntilGeneration(t, 20*time.Second, "ann", 2).Generation
	o.dropRefreshTokens(t)
	d.Until(t, 2*oidcLifetime, "ann", "has logged in anew", func(s token.Status) bool { return s.Logins >= 2 })
	s := d.UntilGeneration(t, 4*oidcLifetime, "ann", generation+3)
	j.rest(t).neverDead(t) // the access token outlived its refresh token
	if lost := d.LostAnswers("ann"); s.Logins > 2+lost || o.count("refused", "", "refresh_token") != 1 {
		t.Errorf("%d logins, %d lost answers, at the server: %+v", s.Logins, lost, o.events())
	}
	d.Stop(t)
}

func TestOIDCProviderRevokedGrantIsLiveAgainWithinASecondOfItsRefresh(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, time.Minute)
	d := newDaemon(t, passwordToken(o))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "ann", 1)
	tokend.Await(t, 5*time.Second, "the file is there", func() bool { return d.Content("ann") != "" })
	time.Sleep(time.Second) // min_interval must have passed, or it would be waited for
	o.revoke(t, userClient(), d.Content("ann"))
	began := time.Now()
	if _, err := d.Command(t, "refresh", "ann"); err != nil {
		t.Fatal(err)
	}
	tokend.Await(t, 2*time.Second, "the file holds a live token", func() bool { return live(t, o, d.Content("ann")) })
	lab.reports.add(fmt.Sprintf("oidc-provider, revoked grant: live again %.0f ms after the refused refresh", milliseconds(time.Since(began))))
	d.Stop(t)
}

func TestOIDCProviderOutageAndRestart(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, 8*time.Second)
	d := newDaemon(t, passwordToken(o)+oidcProvider(o, "app", appClient())+clientCredentialsToken("app", "app"))
	d.Run(t)
	ann := watch(t, "oidc-provider restarted, password", d.File("ann"), o, tenth)
	app := watch(t, "oidc-provider restarted, client_credentials", d.File("app"), o, tenth)
	generation := d.UntilGeneration(t, 30*time.Second, "ann", 2).Generation
	o.Kill()
	time.Sleep(2 * time.Second) // the outage itself
	o.serve(t)
	s := d.UntilGeneration(t, 30*time.Second, "ann", generation+3)
	ann.rest(t).neverDead(t)
	app.rest(t).neverDead(t)
	if lost := d.LostAnswers("ann"); s.Logins > 1+lost || o.count("revoked", "", "") != 0 {
		t.Errorf("%d logins, %d lost answers: an outage must not cost the family", s.Logins, lost)
	}
	d.Stop(t)
}

func TestOIDCProviderThatForgotEverythingIsLoggedInToAnew(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, oidcLifetime)
	d := newDaemon(t, passwordToken(o))
	d.Run(t)
	generation := d.UntilGeneration(t, 20*time.Second, "ann", 2).Generation
	o.Kill()
	o.forget(t)
	o.serve(t)
	d.UntilGeneration(t, 4*oidcLifetime, "ann", generation+2)
	tokend.Await(t, 5*time.Second, "the file holds a live token", func() bool { return live(t, o, d.Content("ann")) })
	if n, lost := o.count("granted", "", "password"), d.LostAnswers("ann"); n > 1+int(lost) {
		t.Errorf("%d logins after the loss, %d lost answers", n, lost)
	}
	d.Stop(t)
}
