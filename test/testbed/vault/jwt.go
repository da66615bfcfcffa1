package vault

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// JWTRole is a role of a jwt mount, with the key that the mount trusts.
type JWTRole struct {
	Role
	key *ecdsa.PrivateKey
}

// JWT makes a jwt auth mount of its own with one role, for tokens whose audience
// is "vault" and whose subject is "tokend".
func (s *Server) JWT(t testing.TB, o Token) JWTRole {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	r := JWTRole{Role{Mount: s.enable(t, "jwt"), Name: "tokend", server: s}, key}
	s.Do(t, http.MethodPost, "auth/"+r.Mount+"/config", map[string]any{
		"jwt_validation_pubkeys": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))},
	})
	role := o.fields()
	maps.Copy(role, map[string]any{
		"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"}, "bound_subject": "tokend",
	})
	s.Do(t, http.MethodPost, r.path(), role)
	return r
}

// Sign returns a token that the role takes for lifetime.
func (r JWTRole) Sign(t testing.TB, lifetime time.Duration) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: r.key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signed, err := jwt.Signed(signer).Claims(jwt.Claims{
		Subject: "tokend", Audience: jwt.Audience{"vault"},
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now.Add(-time.Minute)),
		Expiry: jwt.NewNumericDate(now.Add(lifetime)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// KubernetesAuth says which cluster a kubernetes mount asks about the tokens of
// ServiceAccounts, and whom the role takes.
type KubernetesAuth struct {
	Host     string // URL of the API server
	CA       []byte // PEM
	Reviewer string // a bearer token that may create TokenReviews
	Audience string // empty: not looked at

	Namespace, ServiceAccount string
}

// Kubernetes makes a kubernetes auth mount of its own with one role.
func (s *Server) Kubernetes(t testing.TB, k KubernetesAuth, o Token) Role {
	t.Helper()
	r := Role{Mount: s.enable(t, "kubernetes"), Name: "tokend", server: s}
	s.Do(t, http.MethodPost, "auth/"+r.Mount+"/config", map[string]any{
		"kubernetes_host": k.Host, "kubernetes_ca_cert": string(k.CA), "token_reviewer_jwt": k.Reviewer,
	})
	role := o.fields()
	maps.Copy(role, map[string]any{
		"bound_service_account_names":      []string{k.ServiceAccount},
		"bound_service_account_namespaces": []string{k.Namespace},
		"audience":                         k.Audience,
	})
	s.Do(t, http.MethodPost, r.path(), role)
	return r
}

// Cert makes a cert auth mount of its own with one role, for certificates of the
// server's own authority.
func (s *Server) Cert(t testing.TB, o Token) Role {
	t.Helper()
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	r := Role{Mount: s.enable(t, "cert"), Name: "tokend", server: s}
	role := o.fields()
	role["certificate"] = string(ca)
	s.Do(t, http.MethodPost, "auth/"+r.Mount+"/certs/"+r.Name, role)
	return r
}

// ClientCertificate issues a certificate of the server's own authority.
func (s *Server) ClientCertificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	s.need(t)
	name := fresh("client")
	certFile, keyFile, err := s.issue(name, name)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}
