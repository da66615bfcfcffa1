package app

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/token"
)

func secrets(pairs ...string) map[string]token.Secret {
	m := map[string]token.Secret{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = token.NewSecret(pairs[i+1])
	}
	return m
}

// login is a token that logs in with a grant, in one variation.
func login(kind string, vary func(*config.Token)) *config.Token {
	t := &config.Token{
		Name: "operator", ClientID: "client", ClientSecret: token.NewSecret("secret"),
		Provider: &config.Provider{Name: "rator", TokenEndpoint: "https://as.example/token"},
		Grant: config.Grant{Kind: kind, Scope: []string{"a", "b"}, Params: secrets(
			"username", "op", "password", "pw", "operatorPin", "1234", "audience", "api", "refresh_token", "seed")},
	}
	if vary != nil {
		vary(t)
	}
	return t
}

func param(name, value string) func(*config.Token) {
	return func(t *config.Token) { t.Grant.Params[name] = token.NewSecret(value) }
}

func TestBindingIsWhoWhereAndForWhat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		vary        func(*config.Token)
		other, seed bool // whether the binding changes, for a login and for a configured refresh token
	}{
		"token endpoint":      {func(t *config.Token) { t.Provider.TokenEndpoint += "2" }, true, true},
		"client_id":           {func(t *config.Token) { t.ClientID = "other" }, true, true},
		"client_secret":       {func(t *config.Token) { t.ClientSecret = token.NewSecret("rotated") }, false, false},
		"password":            {param("password", "rotated"), false, false},
		"pin":                 {param("operatorPin", "4321"), false, false},
		"refresh token":       {param("refresh_token", "another"), false, false},
		"username":            {param("username", "somebody else"), true, false},
		"audience":            {param("audience", "another"), true, false},
		"a new parameter":     {param("tenant", "t"), true, false},
		"a new secret":        {param("otp", "123456"), false, false},
		"scope":               {func(t *config.Token) { t.Grant.Scope = []string{"a"} }, true, false},
		"no scope":            {func(t *config.Token) { t.Grant.Scope = nil }, true, false},
		"scopes run into one": {func(t *config.Token) { t.Grant.Scope = []string{"ab"} }, true, false},
		"token's name":        {func(t *config.Token) { t.Name = "renamed" }, false, false},
		"provider's name":     {func(t *config.Token) { t.Provider.Name = "renamed" }, false, false},
		"timeout":             {func(t *config.Token) { t.Provider.Timeout++ }, false, false},
	} {
		if got := binding(login("password", c.vary)) != binding(login("password", nil)); got != c.other {
			t.Errorf("%s: the binding of a login changes: %t", name, got)
		}
		if got := binding(login("refresh_token", c.vary)) != binding(login("refresh_token", nil)); got != c.seed {
			t.Errorf("%s: the binding of a configured refresh token changes: %t", name, got)
		}
	}
	if binding(login("password", nil)) == binding(login("operator_password", nil)) {
		t.Error("another grant has the same binding")
	}
}

// What is stored must be found again by the next start, and by the next version.
func TestBindingIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("24:https://as.example/token,6:client,8:password,8:audience,3:api,8:username,2:op,;1:a,1:b,"))
	for range 20 { // a map has another order each time
		if got := binding(login("password", nil)); got != hex.EncodeToString(sum[:16]) {
			t.Fatalf("the binding is %s", got)
		}
	}
}

func TestBindingTellsScopesFromParameters(t *testing.T) {
	t.Parallel()
	grant := func(scope []string, params ...string) string {
		return binding(login("custom", func(t *config.Token) {
			t.Grant.Params, t.Grant.Scope = secrets(params...), scope
		}))
	}
	seen := map[string]string{}
	for name, b := range map[string]string{
		"nothing":             grant(nil),
		"a parameter":         grant(nil, "audience", "api"),
		"two scopes":          grant([]string{"audience", "api"}),
		"one of each":         grant([]string{"api"}, "audience", ""),
		"a scope of two":      grant([]string{"audience api"}),
		"a longer parameter":  grant(nil, "audience", "api,1:a"),
		"a semicolon's scope": grant([]string{";"}),
	} {
		if other, ok := seen[b]; ok {
			t.Errorf("%s and %s have the same binding", name, other)
		}
		seen[b] = name
	}
}
