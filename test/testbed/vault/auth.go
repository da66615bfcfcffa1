package vault

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// Policy writes a policy of a fresh name and returns the name. The rules are in
// Vault's own language:
//
//	path "secret/data/*" { capabilities = ["create", "update", "read"] }
func (s *Server) Policy(t testing.TB, rules string) string {
	t.Helper()
	name := fresh("policy")
	s.SetPolicy(t, name, rules)
	s.atEnd(t, "sys/policies/acl/"+name)
	return name
}

// SetPolicy replaces the rules of a policy. Tokens that have it feel it at once.
func (s *Server) SetPolicy(t testing.TB, name, rules string) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/policies/acl/"+name, map[string]any{"policy": rules})
}

// Token says what a token of Vault is like. The zero value is a renewable one
// without a policy of its own, which lives for 32 days.
type Token struct {
	Policies []string
	TTL      time.Duration
	// MaxTTL is what renewing cannot go beyond.
	MaxTTL       time.Duration
	Period       time.Duration
	Uses         int
	NotRenewable bool
}

func (o Token) fields() map[string]any {
	return map[string]any{
		"token_policies": o.Policies, "token_ttl": o.TTL.String(),
		"token_explicit_max_ttl": o.MaxTTL.String(), "token_period": o.Period.String(),
		"token_num_uses": o.Uses,
	}
}

// Token issues a token.
func (s *Server) Token(t testing.TB, o Token) string {
	t.Helper()
	s.need(t)
	answer, err := s.exchange(t.Context(), s.RootToken, nil, http.MethodPost, "auth/token/create", map[string]any{
		"policies": o.Policies, "ttl": o.TTL.String(), "explicit_max_ttl": o.MaxTTL.String(),
		"period": o.Period.String(), "num_uses": o.Uses, "renewable": !o.NotRenewable, "no_parent": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	auth, _ := answer["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if token == "" {
		t.Fatal("Vault issued no token")
	}
	return token
}

// Revoke ends a token at once.
func (s *Server) Revoke(t testing.TB, token string) {
	t.Helper()
	s.Do(t, http.MethodPost, "auth/token/revoke", map[string]any{"token": token})
}

// RevokeLogins ends all tokens that were issued by an auth mount.
func (s *Server) RevokeLogins(t testing.TB, mount string) {
	t.Helper()
	s.Do(t, http.MethodPut, "sys/leases/revoke-prefix/auth/"+mount, map[string]any{"sync": true})
}

// enable enables an auth method at a fresh path and returns the path.
func (s *Server) enable(t testing.TB, method string) string {
	t.Helper()
	mount := fresh(method)
	s.Do(t, http.MethodPost, "sys/auth/"+mount, map[string]any{"type": method})
	s.atEnd(t, "sys/auth/"+mount)
	return mount
}

// Role is what clients log in as at one auth mount.
type Role struct {
	Mount, Name string
	RoleID      string // approle only
	server      *Server
}

// AppRole makes an auth mount of its own with one role, whose logins get tokens
// like o.
func (s *Server) AppRole(t testing.TB, o Token) Role {
	t.Helper()
	r := Role{Mount: s.enable(t, "approle"), Name: "tokend", server: s}
	s.Do(t, http.MethodPost, r.path(), o.fields())
	r.RoleID, _ = s.Do(t, http.MethodGet, r.path()+"/role-id", nil)["role_id"].(string)
	return r
}

func (r Role) path() string { return "auth/" + r.Mount + "/role/" + r.Name }

// SecretID issues a secret_id of the role.
func (r Role) SecretID(t testing.TB) string {
	t.Helper()
	id, _ := r.server.Do(t, http.MethodPost, r.path()+"/secret-id", map[string]any{})["secret_id"].(string)
	return id
}

// WrappedSecretID issues a secret_id wrapped in a token that can be unwrapped
// once, within ttl.
func (r Role) WrappedSecretID(t testing.TB, ttl time.Duration) string {
	t.Helper()
	header := http.Header{"X-Vault-Wrap-Ttl": {ttl.String()}}
	answer, err := r.server.exchange(t.Context(), r.server.RootToken, header, http.MethodPost, r.path()+"/secret-id", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	info, _ := answer["wrap_info"].(map[string]any)
	token, _ := info["token"].(string)
	return token
}

// DestroySecretIDs makes every secret_id of the role worthless.
func (r Role) DestroySecretIDs(t testing.TB) {
	t.Helper()
	keys, _ := r.server.Do(t, "LIST", r.path()+"/secret-id", nil)["keys"].([]any)
	for _, accessor := range keys {
		r.server.Do(t, http.MethodPost, r.path()+"/secret-id-accessor/destroy", map[string]any{"secret_id_accessor": accessor})
	}
}

// Remove takes the role away; tokens that it issued live on.
func (r Role) Remove(t testing.TB) {
	t.Helper()
	_, _ = r.server.Call(context.WithoutCancel(t.Context()), http.MethodDelete, r.path(), nil)
}
