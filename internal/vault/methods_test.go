package vault_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	bed "github.com/tokend-project/tokend/test/testbed/vault"
)

// place is a mount and a policy for whoever logs in.
func place(t *testing.T) (mount string, o bed.Token) {
	t.Helper()
	needServer(t)
	mount = server.Mount(t, 2)
	return mount, bed.Token{Policies: []string{all(t, server, mount)}, TTL: time.Hour}
}

func writesAs(t *testing.T, a vault.Auth, mount string) *vault.Client {
	t.Helper()
	c := open(t, server, vault.Options{Auth: a})
	write(t, c.KV(mount, 0), "a", "x")
	return c
}

func failsAs(t *testing.T, a vault.Auth, mount string) error {
	t.Helper()
	c := open(t, server, vault.Options{Auth: a})
	_, err := c.KV(mount, 2).Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrLogin)
	isNot(t, err, vault.ErrAmbiguous)
	return err
}

func TestTokenFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	less := o
	less.Policies = []string{server.Policy(t, `path "`+mount+`/data/a" { capabilities = ["create", "update"] }`), "default"}
	name := file(t, server.Token(t, less)+"\n", 0o600)
	c := writesAs(t, vault.Auth{Method: "token_file", TokenFile: name}, mount)
	k := c.KV(mount, 2)
	_, err := k.Write(t.Context(), "b", data("x"), vault.CAS{})
	is(t, err, vault.ErrDenied)
	put(t, name, server.Token(t, o), 0o640) // while the first one lives
	eventually(t, 5*time.Second, "the second token is in use", func() bool {
		_, err := k.Write(t.Context(), "b", data("x"), vault.CAS{})
		return err == nil
	})
}

func TestTokenFileWithADeadTokenSaysSoUntilItIsReplaced(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	first := server.Token(t, o)
	name := file(t, first, 0o600)
	c := writesAs(t, vault.Auth{Method: "token_file", TokenFile: name}, mount)
	k := c.KV(mount, 2)
	server.Revoke(t, first)
	for range 5 {
		_, err := k.Write(t.Context(), "a", data("y"), vault.CAS{})
		is(t, err, vault.ErrLogin)
		says(t, err, name, "expired or revoked")
		if strings.Contains(err.Error(), first) {
			t.Fatalf("the token is shown: %v", err)
		}
	}
	put(t, name, server.Token(t, o), 0o600)
	write(t, k, "a", "z") // at once: a changed file ends the pause
}

func TestSecretFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	needServer(t)
	for content, want := range map[string]string{
		"": "is empty", " \n": "is empty", "s.one\ns.two": "not one word", "<html>no</html> x": "not one word", strings.Repeat("x", 70<<10): "larger",
	} {
		err := failsAs(t, vault.Auth{Method: "token_file", TokenFile: file(t, content, 0o600)}, "kv")
		says(t, err, want)
	}
	says(t, failsAs(t, vault.Auth{Method: "token_file", TokenFile: file(t, "s.x", 0o644)}, "kv"), "readable by everybody", "chmod")
	says(t, failsAs(t, vault.Auth{Method: "approle", RoleID: "r", SecretIDFile: file(t, "s.x", 0o604)}, "kv"), "readable by everybody")
	says(t, failsAs(t, vault.Auth{Method: "token_file", TokenFile: t.TempDir()}, "kv"), "no regular file")
	says(t, failsAs(t, vault.Auth{Method: "token_file", TokenFile: t.TempDir() + "/none"}, "kv"), "no such file")
}

func TestAppRole(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	role := server.AppRole(t, o)
	inline := approle(t, role)
	writesAs(t, inline, mount)

	name := file(t, "not-a-secret-id", 0o600)
	a := vault.Auth{Method: "approle", Mount: role.Mount, RoleID: role.RoleID, SecretIDFile: name}
	c := open(t, server, vault.Options{Auth: a})
	k := c.KV(mount, 2)
	_, err := k.Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrLogin)
	put(t, name, role.SecretID(t)+"\n", 0o600)
	write(t, k, "a", "x") // at once: another secret id is worth another login

	role.DestroySecretIDs(t)
	says(t, failsAs(t, inline, mount), "secret id is wrong, expired or used up")
	role.Remove(t)
	says(t, failsAs(t, inline, mount), "role doesn't exist")
}

func TestAWrappedSecretIDIsUnwrappedOnce(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	role := server.AppRole(t, o)
	wrapping := role.WrappedSecretID(t, time.Minute)
	name := file(t, wrapping, 0o600)
	a := vault.Auth{Method: "approle", Mount: role.Mount, RoleID: role.RoleID, SecretIDFile: name, SecretIDWrapped: true}
	c := writesAs(t, a, mount)
	k := c.KV(mount, 2)
	// The next login works with what was in it, though the file is gone, as is wise.
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	server.RevokeLogins(t, role.Mount)
	write(t, k, "a", "y")

	// Whoever comes second learns that somebody was first.
	a.SecretIDFile, a.SecretID = "", token.NewSecret(wrapping)
	err := failsAs(t, a, mount)
	is(t, err, vault.ErrWrapping)
	says(t, err, "used already", "somebody else", "revoke")
	if strings.Contains(err.Error(), wrapping) {
		t.Errorf("the wrapping token is shown: %v", err)
	}

	// A new one in the file is taken.
	role.DestroySecretIDs(t)
	server.RevokeLogins(t, role.Mount) // wrapping tokens of the mount go, too
	put(t, name, role.WrappedSecretID(t, time.Minute), 0o600)
	write(t, k, "a", "z")
}

// TestAWrappingTokenThatWasExchanged holds something else than a secret id of the
// role's mount: whoever put it there would learn what tokend sends.
func TestAWrappingTokenThatWasExchanged(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	role, other := server.AppRole(t, o), server.AppRole(t, o)
	a := vault.Auth{
		Method: "approle", Mount: role.Mount, RoleID: role.RoleID,
		SecretID: token.NewSecret(other.WrappedSecretID(t, time.Minute)), SecretIDWrapped: true,
	}
	before := server.Count(t, "PUT /v1/auth/"+role.Mount+"/login")
	err := failsAs(t, a, mount)
	is(t, err, vault.ErrWrapping)
	says(t, err, "exchanged")
	if n := server.Count(t, "PUT /v1/auth/"+role.Mount+"/login"); n != before {
		t.Error("a login was sent with it")
	}
}

func TestJWT(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	role := server.JWT(t, o)
	name := file(t, role.Sign(t, time.Minute), 0o644)
	a := vault.Auth{Method: "jwt", Mount: role.Mount, Role: role.Name, JWTFile: name}
	c := writesAs(t, a, mount)

	// The file is read at each login: the first token ends, as a projected one does.
	put(t, name, "eyJhbGciOiJub25lIn0.e30.", 0o644)
	server.RevokeLogins(t, role.Mount)
	_, err := c.KV(mount, 2).Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrLogin)
	says(t, err, "JWT is not accepted")
	put(t, name, role.Sign(t, -time.Hour), 0o644)
	_, err = c.KV(mount, 2).Write(t.Context(), "a", data("x"), vault.CAS{})
	is(t, err, vault.ErrLogin)
	says(t, err, "the JWT has expired")
	put(t, name, role.Sign(t, time.Minute), 0o644)
	write(t, c.KV(mount, 2), "a", "y")

	a.Role = "another"
	says(t, failsAs(t, a, mount), "role doesn't exist")
}

// TestKubernetes has the server ask a scripted API server about the token of a
// ServiceAccount.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	account := atomic.Pointer[string]{}
	account.Store(new("shop:tokend"))
	var reviewed atomic.Pointer[string]
	cluster := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review map[string]any
		_ = json.NewDecoder(r.Body).Decode(&review)
		spec, _ := review["spec"].(map[string]any)
		reviewed.Store(new(fmt.Sprint(spec["token"])))
		namespace, name, _ := strings.Cut(*account.Load(), ":")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","status":{"authenticated":true,"audiences":["https://kubernetes.default.svc"],
			"user":{"username":"system:serviceaccount:%s:%s","uid":"0","groups":["system:serviceaccounts"]}}}`, namespace, name)
	}))
	t.Cleanup(cluster.Close)
	role := server.Kubernetes(t, bed.KubernetesAuth{
		Host: cluster.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cluster.Certificate().Raw}),
		Reviewer: serviceAccount(t, "0"), Namespace: "shop", ServiceAccount: "tokend",
	}, o)
	first, second := serviceAccount(t, "1"), serviceAccount(t, "2")
	name := file(t, first, 0o644)
	a := vault.Auth{Method: "kubernetes", Mount: role.Mount, Role: role.Name, JWTFile: name}
	c := writesAs(t, a, mount)
	if got := *reviewed.Load(); got != first {
		t.Error("another token was reviewed")
	}
	put(t, name, second, 0o644)
	server.RevokeLogins(t, role.Mount)
	write(t, c.KV(mount, 2), "a", "y")
	if got := *reviewed.Load(); got != second {
		t.Error("the rotated token was not read")
	}
	account.Store(new("shop:intruder"))
	says(t, failsAs(t, a, mount), "log in by kubernetes")
}

// serviceAccount is a token as TokenRequest issues it.
func serviceAccount(t *testing.T, id string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:shop:tokend", "aud": []string{"https://kubernetes.default.svc"}, "jti": id,
		"iat": time.Now().Unix(), "nbf": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
		"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]any{"name": "tokend", "uid": "0"}},
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestCert(t *testing.T) {
	t.Parallel()
	mount, o := place(t)
	role := server.Cert(t, o)
	tls := vault.TLS{CAFile: server.CAFile}
	tls.CertFile, tls.KeyFile = server.ClientCertificate(t)
	with := func(name string) *vault.KV {
		c := dial(t, vault.Options{Address: server.Address, TLS: tls, Auth: vault.Auth{Method: "cert", Mount: role.Mount, Role: name}})
		return c.KV(mount, 2)
	}
	write(t, with(role.Name), "a", "x")
	write(t, with(""), "a", "y")
	_, err := with("another").Read(t.Context(), "a")
	is(t, err, vault.ErrLogin)
	says(t, err, "certificate")
}

func TestAnAuthMountThatIsNotThere(t *testing.T) {
	t.Parallel()
	mount, _ := place(t)
	err := failsAs(t, vault.Auth{Method: "approle", Mount: "nowhere", RoleID: "r", SecretID: token.NewSecret("s")}, mount)
	says(t, err, "auth/nowhere", "check the auth mount")
}

func TestAuthThatIsNotComplete(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]vault.Auth{
		"no method":               {},
		"userpass":                {Method: "userpass"},
		"token":                   {Method: "token"},
		"two words":               {Method: "token", Token: token.NewSecret("a b")},
		"token_file":              {Method: "token_file"},
		"approle without role_id": {Method: "approle", SecretID: token.NewSecret("x")},
		"two secret ids":          {Method: "approle", RoleID: "r", SecretID: token.NewSecret("x"), SecretIDFile: "y"},
		"nothing wrapped":         {Method: "approle", RoleID: "r", SecretIDWrapped: true},
		"kubernetes":              {Method: "kubernetes"},
		"jwt without file":        {Method: "jwt", Role: "r"},
		"cert without one":        {Method: "cert"},
		"mount":                   {Method: "cert", Mount: "a/../b"},
	} {
		if _, err := vault.New(vault.Options{Address: "https://vault.example", Auth: a}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := vault.New(vault.Options{Address: "https://vault.example", Auth: given("s.x"), Timeout: -1}); err == nil {
		t.Error("negative timeout: no error")
	}
}
