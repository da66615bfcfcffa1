package e2e

import (
	"net/http"
	"net/url"
	"testing"
	"time"
)

// These tests say what the other tests rely on, and would fail first if a new
// version of a server behaved otherwise.

func TestHydraKillsThePreviousAccessTokenAtRefreshAndTheFamilyAtReuse(t *testing.T) {
	t.Parallel()
	h := startHydra(t, time.Minute)
	web := client{"web", "web-secret"}
	h.register(t, web, "client_secret_basic", "authorization_code", "refresh_token")
	first := h.authorize(t, web)
	second := refresh(t, web, h.token(), first.RefreshToken)
	if live(t, h, first.AccessToken) || !live(t, h, second.AccessToken) {
		t.Fatal("a refresh must kill the first access token and bring a live one")
	}
	if reused := refresh(t, web, h.token(), first.RefreshToken); reused.Error != "invalid_grant" {
		t.Fatalf("a used refresh token was answered with %d %q", reused.status, reused.Error)
	}
	if live(t, h, second.AccessToken) {
		t.Fatal("re-use must kill the family")
	}
}

func TestHydraRevokedAccessTokenEndsTheFamily(t *testing.T) {
	t.Parallel()
	h := startHydra(t, time.Minute)
	web := client{"web", "web-secret"}
	h.register(t, web, "client_secret_basic", "authorization_code", "refresh_token")
	first := h.authorize(t, web)
	h.revoke(t, web, first.AccessToken)
	if a := refresh(t, web, h.token(), first.RefreshToken); a.Error == "" {
		t.Fatal("the family outlived its revocation")
	}
}

func TestHydraKeepsFamiliesOverARestart(t *testing.T) {
	t.Parallel()
	h := startHydra(t, time.Minute)
	web := client{"web", "web-secret"}
	h.register(t, web, "client_secret_basic", "authorization_code", "refresh_token")
	first := h.authorize(t, web)
	h.Kill()
	h.serve(t)
	if a := refresh(t, web, h.token(), first.RefreshToken); a.AccessToken == "" {
		t.Fatalf("no refresh after the restart: %d %s", a.status, a.Error)
	}
}

func TestHydraTakesFormEncodedBasicOnly(t *testing.T) {
	t.Parallel()
	h := startHydra(t, time.Minute)
	odd := oddClient()
	h.register(t, odd, "client_secret_basic", "client_credentials")
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"api"}}
	if a := odd.post(t, h.token(), form); a.status != http.StatusOK {
		t.Fatalf("form-encoded: %d %s", a.status, a.Error)
	}
}

func TestOIDCProviderKillsTheGrantAtReuse(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, time.Minute)
	first := o.login(t)
	second := refresh(t, userClient(), o.token(), first.RefreshToken)
	if !live(t, o, first.AccessToken) || !live(t, o, second.AccessToken) {
		t.Fatal("a refresh must leave both access tokens alive")
	}
	if reused := refresh(t, userClient(), o.token(), first.RefreshToken); reused.Error != "invalid_grant" {
		t.Fatalf("a used refresh token was answered with %d %q", reused.status, reused.Error)
	}
	if live(t, o, second.AccessToken) {
		t.Fatal("re-use must kill the grant")
	}
	if o.count("revoked", userClient().id, "") != 1 {
		t.Fatal("the provider must report the revocation")
	}
}

func TestOIDCProviderKeepsGrantsOverARestart(t *testing.T) {
	t.Parallel()
	o := startOIDC(t, time.Minute)
	first := o.login(t)
	o.Kill()
	o.serve(t)
	second := refresh(t, userClient(), o.token(), first.RefreshToken)
	if second.AccessToken == "" || !live(t, o, first.AccessToken) {
		t.Fatalf("the restart lost the grant: %d %s", second.status, second.Error)
	}
	o.dropRefreshTokens(t)
	if a := refresh(t, userClient(), o.token(), second.RefreshToken); a.Error != "invalid_grant" || !live(t, o, second.AccessToken) {
		t.Fatalf("dropping the refresh tokens must leave the access token alone: %q", a.Error)
	}
}

func (o *oidc) login(t *testing.T) answer {
	t.Helper()
	return userClient().post(t, o.token(), url.Values{
		"grant_type": {"password"}, "username": {"ann"}, "password": {o.options.Accounts["ann"]},
	})
}

func refresh(t *testing.T, c client, endpoint, refreshToken string) answer {
	t.Helper()
	return c.post(t, endpoint, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}

func live(t *testing.T, s introspector, accessToken string) bool {
	t.Helper()
	return must(s.Introspect(t.Context(), accessToken))(t)
}
