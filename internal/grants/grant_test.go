package grants

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

func values(pairs ...string) map[string]token.Secret {
	m := map[string]token.Secret{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = token.NewSecret(pairs[i+1])
	}
	return m
}

func TestLoginParameters(t *testing.T) {
	for _, tc := range []struct {
		kind   string
		params map[string]token.Secret
		scope  []string
		want   map[string]token.Secret
	}{
		{"client_credentials", nil, nil, nil},
		{"client_credentials", nil, []string{"a", "b"}, values("scope", "a b")},
		{"client_credentials", values("operator", "op"), nil, values("operator", "op")},
		{"password", values("username", "u", "password", "p", "client_type", "supplier"), []string{"a"},
			values("username", "u", "password", "p", "client_type", "supplier", "scope", "a")},
		{"operator_password", values("username", "u", "password", "p"), nil, values("username", "u", "password", "p")},
		{"urn:ietf:params:oauth:grant-type:jwt-bearer", values("assertion", "x", "scope", "s"), nil, values("assertion", "x", "scope", "s")},
		{"refresh_token", values("refresh_token", "rt"), nil, values("refresh_token", "rt")},
	} {
		g, err := New(tc.kind, tc.params, tc.scope)
		if err != nil {
			t.Errorf("%s: %v", tc.kind, err)
			continue
		}
		if kind, got := g.Params(); kind != tc.kind || !maps.EqualFunc(got, tc.want, token.Secret.Equal) {
			t.Errorf("%s: %s with %v", tc.kind, kind, slices.Sorted(maps.Keys(got)))
		}
	}
}

func TestGrantsThatCannotWorkAreRefused(t *testing.T) {
	for _, tc := range []struct {
		kind   string
		params map[string]token.Secret
		scope  []string
		want   string
	}{
		{"", nil, nil, "grant_type"},
		{"password", values("username", "u"), nil, "password is missing"},
		{"password", values("password", "canary"), nil, "username is missing"},
		{"password", values("username", "", "password", "canary"), nil, "username is missing"},
		{"refresh_token", nil, nil, "refresh_token is missing"},
		{"refresh_token", values("refresh_token", "canary"), []string{"a"}, "nothing else"},
		{"custom", values("scope", "a"), []string{"b"}, "scope is set twice"},
	} {
		_, err := New(tc.kind, tc.params, tc.scope)
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: error %v, want one about %q", tc.kind, err, tc.want)
		}
	}
}

func TestGrantKeepsItsParametersWhenTheCallersMapChanges(t *testing.T) {
	params := values("username", "u", "password", "p")
	g, err := New("password", params, nil)
	if err != nil {
		t.Fatal(err)
	}
	params["password"] = token.NewSecret("changed")
	if _, got := g.Params(); got["password"].Reveal() != "p" {
		t.Error("the grant shares the caller's map")
	}
}
