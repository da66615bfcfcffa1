package e2e

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/devserver"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// rotates names the tokens whose server kills the previous access token when it
// refreshes.
func rotates(name string) bool {
	return name == "musement-user" || name == "rator-customer" || name == "rator-operator"
}

func verdicts(t *testing.T, d *tokend.Daemon, judges map[string]*judge) {
	t.Helper()
	for name, j := range judges {
		v := j.rest(t)
		if v.samples == 0 {
			t.Errorf("%s was never judged", name)
		}
		if rotates(name) {
			v.deadForMomentsOnly(t, moments)
		} else {
			v.neverDead(t)
		}
		for content := range v.tokens {
			keepsSecrets(t, d, verdict{}, tokenIn.FindStringSubmatch(content)[1])
		}
	}
}

// untilAll waits until every token has gone through some generations.
func untilAll(t *testing.T, d *tokend.Daemon, within time.Duration, generation uint64) {
	t.Helper()
	deadline := time.Now().Add(within)
	for name := range devTokens() {
		d.UntilGeneration(t, time.Until(deadline), name, generation)
	}
}

func TestThreeAPIsStayFresh(t *testing.T) {
	t.Parallel()
	a := startDev(t, 6*time.Second)
	d := a.daemon(t)
	d.Run(t)
	judges := a.judges(t, d, "dev")
	untilAll(t, d, 40*time.Second, 4)
	verdicts(t, d, judges)
	for _, api := range devserver.APIs() {
		c := a.Stats().Of(api)
		if c.Refusals != 0 || c.Reuses != 0 {
			t.Errorf("%s: %+v", api, c)
		}
	}
	// GreyMatter documents a new login, not a refresh; the others one login a family.
	if c := a.Stats().Of(devserver.GreyMatter); c.Refreshes != 0 || c.Logins < 4 {
		t.Errorf("greymatter: %d refreshes, %d logins", c.Refreshes, c.Logins)
	}
	for _, name := range []string{"musement-user", "rator-customer", "rator-operator"} {
		if s := d.Status(t).Of(name); s.Logins > 1+d.LostAnswers(name) || s.Refreshes == 0 {
			t.Errorf("%s: %d logins, %d refreshes", name, s.Logins, s.Refreshes)
		}
	}
	d.Stop(t)
}

func TestThreeAPIsOutlastAnOutageThatIsShorterThanTheRemainingLifetime(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]func(http.ResponseWriter, *http.Request){
		"unavailable": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusServiceUnavailable) },
		"reset": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.(*net.TCPConn).SetLinger(0) // close resets
				_ = conn.Close()
			}
		},
		"hanging": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := startDev(t, 14*time.Second)
			d := a.daemon(t)
			d.Run(t)
			judges := a.judges(t, d, "dev, "+name)
			untilAll(t, d, 10*time.Second, 1)
			expiry := firstExpiry(d.Status(t))
			time.Sleep(time.Until(expiry.Add(-6 * time.Second)))
			a.setOutage(outage)
			time.Sleep(3 * time.Second)
			a.setOutage(nil)
			untilAll(t, d, 40*time.Second, 3)
			verdicts(t, d, judges)
			for _, api := range devserver.APIs() {
				if c := a.Stats().Of(api); c.Reuses != 0 {
					t.Errorf("%s: %d superseded refresh tokens were presented", api, c.Reuses)
				}
			}
			d.Stop(t)
		})
	}
}

func firstExpiry(s tokend.Status) time.Time {
	first := time.Now().Add(time.Hour)
	for _, t := range s.Tokens {
		if !t.ExpiresAt.IsZero() && t.ExpiresAt.Before(first) {
			first = t.ExpiresAt
		}
	}
	return first
}

func TestThreeAPIsRecoverFromAnswersThatWereLost(t *testing.T) {
	t.Parallel()
	a := startDev(t, 8*time.Second)
	d := a.daemon(t)
	d.Run(t)
	untilAll(t, d, 10*time.Second, 1)
	a.SetFault(devserver.Fault{Mode: devserver.LoseAnswer})
	for _, name := range []string{"musement-user", "rator-customer", "rator-operator"} {
		d.Until(t, 15*time.Second, name, "has lost an answer", func(s token.Status) bool { return s.Failures > 0 })
	}
	a.SetFault(devserver.Fault{})
	for name, j := range devTokens() {
		j.base = a.base
		path := d.Dir + "/" + j.file
		tokend.Await(t, 12*time.Second, name+" is live again", func() bool {
			alive, err := j.Introspect(t.Context(), tokend.Content(path))
			return err == nil && alive
		})
	}
	d.Stop(t)
}

// The documents of all three say it: a 401 on a resource means "get a new token".
func TestThreeAPIsRevokedTokensAreReplacedWhenTheResourceSays401(t *testing.T) {
	t.Parallel()
	a := startDev(t, 30*time.Second)
	d := a.daemon(t)
	d.Run(t)
	untilAll(t, d, 10*time.Second, 1)
	time.Sleep(2 * time.Second) // beyond min_interval, which is 2 s here
	for _, api := range devserver.APIs() {
		a.RevokeFamilies(api, "")
	}
	began := time.Now()
	for _, name := range []string{"musement-user", "greymatter-upstream", "rator-operator"} {
		j := devTokens()[name]
		j.base = a.base
		path := d.Dir + "/" + j.file
		tokend.Await(t, 14*time.Second, name+" is live again", func() bool {
			alive, err := j.Introspect(t.Context(), tokend.Content(path))
			return err == nil && alive
		})
		t.Logf("%s: live %.1f s after the revocation", name, time.Since(began).Seconds())
	}
	d.Stop(t)
}

func TestThreeAPIsRevokedRefreshTokensAreNoticedByNobody(t *testing.T) {
	t.Parallel()
	a := startDev(t, 8*time.Second)
	d := a.daemon(t)
	d.Run(t)
	judges := a.judges(t, d, "dev, refresh tokens revoked")
	untilAll(t, d, 10*time.Second, 1)
	for _, api := range devserver.APIs() {
		a.RevokeRefreshTokens(api, "")
	}
	untilAll(t, d, 30*time.Second, 3)
	verdicts(t, d, judges)
	for _, name := range []string{"musement-user", "rator-customer", "rator-operator"} {
		if s := d.Status(t).Of(name); s.Logins < 2 || s.Logins > 2+d.LostAnswers(name) {
			t.Errorf("%s: %d logins, one more than at the start is enough", name, s.Logins)
		}
	}
	d.Stop(t)
}

func TestThreeAPIsResumeWithoutARequest(t *testing.T) {
	t.Parallel()
	a := startDev(t, 60*time.Second)
	d := a.daemon(t)
	d.Run(t)
	untilAll(t, d, 10*time.Second, 1)
	d.Stop(t)
	a.stop(t)
	a.serve(t, 60*time.Second)
	d.Run(t)
	untilAll(t, d, 10*time.Second, 1)
	judges := a.judges(t, d, "dev resumed")
	time.Sleep(time.Second) // a needless request would come at once
	for name, j := range judges {
		j.rest(t).neverDead(t)
		if s := d.Status(t).Of(name); s.Logins+s.Refreshes != 0 {
			t.Errorf("%s: %d logins, %d refreshes", name, s.Logins, s.Refreshes)
		}
	}
	for _, api := range devserver.APIs() {
		if n := a.Stats().Of(api).TokenRequests(); n != 0 {
			t.Errorf("%s: %d token requests", api, n)
		}
	}
	d.Stop(t)
}
