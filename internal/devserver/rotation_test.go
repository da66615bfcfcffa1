package devserver

import (
	"net/http"
	"testing"
	"time"
)

func TestRefreshRotatesAndKillsThePreviousAccessToken(t *testing.T) {
	r := newRig(t, Options{})
	for _, api := range []API{Musement, Rator} {
		l := logins()[api]
		old := r.granted(t, l.login)
		for range 5 {
			next := r.granted(t, l.refresh(old.text("refresh_token")))
			if next.text("refresh_token") == old.text("refresh_token") || next.text("access_token") == old.text("access_token") {
				t.Fatalf("%s: a refresh did not rotate", api)
			}
			if r.live(t, api, old.text("access_token")) || !r.live(t, api, next.text("access_token")) {
				t.Fatalf("%s: live are not the new access token alone", api)
			}
			old = next
		}
		if c := r.Stats().Of(api); c.Logins != 1 || c.Refreshes != 5 || c.Accepted != 5 || c.Unauthorized != 5 {
			t.Errorf("%s: counted %+v", api, c)
		}
	}
}

func TestPreviousAccessTokenIsKeptOnRequest(t *testing.T) {
	r := newRig(t, Options{KeepPrevious: true})
	old := r.granted(t, ratorLogin())
	r.granted(t, ratorRefresh(old.text("refresh_token")))
	if !r.live(t, Rator, old.text("access_token")) {
		t.Error("the previous access token is dead")
	}
}

func TestGreyMatterDoesNotRotate(t *testing.T) {
	r := newRig(t, Options{})
	first := r.granted(t, greymatterLogin())
	for range 3 {
		if g := r.granted(t, greymatterRefresh(first.text("refresh_token"))); g.text("refresh_token") != first.text("refresh_token") {
			t.Error("the refresh token changed")
		}
	}
	if !r.live(t, GreyMatter, first.text("access_token")) {
		t.Error("a refresh killed the previous access token")
	}
}

func TestReuseRevokesTheFamilyAndNoOther(t *testing.T) {
	r := newRig(t, Options{})
	for _, api := range []API{Musement, Rator} {
		l := logins()[api]
		other := r.granted(t, l.login)
		first := r.granted(t, l.login)
		second := r.granted(t, l.refresh(first.text("refresh_token")))
		third := r.granted(t, l.refresh(second.text("refresh_token")))
		if g := r.do(t, l.refresh(first.text("refresh_token"))); g.status != http.StatusBadRequest || g.text("error") != "invalid_grant" {
			t.Errorf("%s: a superseded refresh token brought %d %s", api, g.status, g.raw)
		}
		if r.live(t, api, third.text("access_token")) {
			t.Errorf("%s: the access token survived the reuse", api)
		}
		if g := r.do(t, l.refresh(third.text("refresh_token"))); g.status != http.StatusBadRequest {
			t.Errorf("%s: the last refresh token survived the reuse: %d", api, g.status)
		}
		if !r.live(t, api, other.text("access_token")) {
			t.Errorf("%s: the reuse reached another login", api)
		}
		if c := r.Stats().Of(api); c.Reuses != 1 || c.Refusals != 2 {
			t.Errorf("%s: counted %+v", api, c)
		}
	}
}

func TestRefreshTokenIsBoundToItsClient(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, ratorLogin())
	foreign := ratorRefresh(g.text("refresh_token")).with(func(a *ask) {
		a.header["Authorization"] = "Basic bXljbGllbnRpZDpteWNsaWVudHNlY3JldA=="
	})
	if got := r.do(t, foreign); got.status != http.StatusBadRequest {
		t.Errorf("another client's refresh: %d %s", got.status, got.raw)
	}
	r.granted(t, ratorRefresh(g.text("refresh_token")))
}

func TestAccessTokensExpire(t *testing.T) {
	r := newRig(t, Options{Lifetime: 9999 * time.Millisecond})
	for api, l := range logins() {
		g := r.granted(t, l.login)
		if g.fields["expires_in"] != 9.0 {
			t.Errorf("%s: expires_in %v is not truncated", api, g.fields["expires_in"])
		}
		r.advance(9998 * time.Millisecond)
		if !r.live(t, api, g.text("access_token")) {
			t.Errorf("%s: dead before its time", api)
		}
		r.advance(time.Millisecond)
		if r.live(t, api, g.text("access_token")) {
			t.Errorf("%s: alive after its time", api)
		}
		r.granted(t, l.refresh(g.text("refresh_token")))
	}
}

func TestIdleRefreshTokenExpires(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, musementLogin())
	r.advance(idleLifetime + time.Second)
	if got := r.do(t, musementRefresh(g.text("refresh_token"))); got.status != http.StatusBadRequest {
		t.Errorf("refresh after %s: %d", idleLifetime, got.status)
	}
}

func TestLedgerStaysBounded(t *testing.T) {
	r := newRig(t, Options{StatePath: t.TempDir() + "/server.json"})
	refresh := r.granted(t, musementLogin()).text("refresh_token")
	for range keepSuperseded + 10 {
		r.advance(20 * time.Second)
		refresh = r.granted(t, musementRefresh(refresh)).text("refresh_token")
	}
	if l := r.ledger; len(l.families) != 1 || len(l.access) != 1 || len(l.refresh) != 1 || len(l.superseded) != keepSuperseded {
		t.Errorf("%d families, %d access, %d refresh and %d superseded tokens", len(l.families), len(l.access), len(l.refresh), len(l.superseded))
	}
	app := musementLogin().with(func(a *ask) {
		a.query = pairs("client_id", "tokend-dev", "client_secret", "demo&secret=1", "grant_type", "client_credentials")
	})
	for range 5 {
		r.granted(t, app)
		r.advance(DefaultLifetime)
	}
	r.granted(t, app)
	if len(r.ledger.families) != 2 {
		t.Errorf("%d families are kept; want the user's and the last app's", len(r.ledger.families))
	}
}

func TestAdministratorEndsTokens(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, ratorLogin())
	access, refresh := g.text("access_token"), g.text("refresh_token")

	if n := r.KillAccessTokens(Rator, "operator"); n != 1 || r.live(t, Rator, access) {
		t.Errorf("%d families; the access token may live", n)
	}
	g = r.granted(t, ratorRefresh(refresh))
	access, refresh = g.text("access_token"), g.text("refresh_token")

	if n := r.RevokeRefreshTokens(Rator, "customer"); n != 0 {
		t.Errorf("%d families of somebody else ended", n)
	}
	if n := r.RevokeRefreshTokens(Rator, ""); n != 1 || !r.live(t, Rator, access) {
		t.Errorf("%d families; the access token must live", n)
	}
	if got := r.do(t, ratorRefresh(refresh)); got.status != http.StatusBadRequest {
		t.Errorf("a revoked refresh token brought %d", got.status)
	}

	access = r.granted(t, ratorLogin()).text("access_token")
	if r.RevokeFamilies(Rator, ""); r.live(t, Rator, access) {
		t.Error("the access token of a revoked family lives")
	}

	if err := r.ChangePassword(Rator, "operator", "new"); err != nil {
		t.Fatal(err)
	}
	if got := r.do(t, ratorLogin()); got.status != http.StatusBadRequest {
		t.Errorf("the old password brought %d", got.status)
	}
	r.granted(t, ratorLogin().with(func(a *ask) { a.query.Set("password", "new") }))
	if err := r.ChangePassword(Rator, "nobody", "x"); err == nil {
		t.Error("an unknown account got a password")
	}
}
