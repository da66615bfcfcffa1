package vault_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
	"github.com/tokend-project/tokend/test/testbed"
	bed "github.com/tokend-project/tokend/test/testbed/vault"
)

var server *bed.Server

func TestMain(m *testing.M) { os.Exit(bed.Main(m, &server)) }

// open returns a client of s that is closed with the test.
func open(t testing.TB, s *bed.Server, o vault.Options) *vault.Client {
	t.Helper()
	o.Address, o.TLS.CAFile = s.Address, s.CAFile
	return dial(t, o)
}

func dial(t testing.TB, o vault.Options) *vault.Client {
	t.Helper()
	c, err := vault.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// asRoot is a client with all rights.
func asRoot(t testing.TB, s *bed.Server) *vault.Client {
	t.Helper()
	return open(t, s, vault.Options{Auth: given(s.RootToken)})
}

func given(tok string) vault.Auth {
	return vault.Auth{Method: "token", Token: token.NewSecret(tok)}
}

func approle(t testing.TB, r bed.Role) vault.Auth {
	return vault.Auth{Method: "approle", Mount: r.Mount, RoleID: r.RoleID, SecretID: token.NewSecret(r.SecretID(t))}
}

// all lets a token do everything with a mount.
func all(t testing.TB, s *bed.Server, mount string) string {
	return s.Policy(t, `path "`+mount+`/*" { capabilities = ["create", "read", "update", "delete", "list"] }`)
}

func data(v string) map[string]any { return map[string]any{"token": v} }

// needServer skips a test where there is no server, which TestMain has explained.
func needServer(t testing.TB) {
	t.Helper()
	if server == nil {
		testbed.Missing(t, "there is no Vault")
	}
}

func write(t testing.TB, k *vault.KV, path, v string) {
	t.Helper()
	if _, err := k.Write(t.Context(), path, data(v), vault.CAS{}); err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("error %v, want one that is %v", err, w)
		}
	}
}

func isNot(t testing.TB, err error, unwanted ...error) {
	t.Helper()
	for _, w := range unwanted {
		if errors.Is(err, w) {
			t.Errorf("error %v is %v, and must not be", err, w)
		}
	}
}

func says(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("error %v does not say %q", err, p)
		}
	}
}

// eventually waits until f holds.
func eventually(t testing.TB, within time.Duration, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !f(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("within %s it did not come to this: %s", within, what)
		}
	}
}

func file(t testing.TB, content string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	put(t, name, content, mode)
	return name
}

// put replaces a file as agents do it: by a rename.
func put(t testing.TB, name, content string, mode os.FileMode) {
	t.Helper()
	next := name + ".next"
	if err := os.WriteFile(next, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(next, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, name); err != nil {
		t.Fatal(err)
	}
}

// accessors counts the tokens that live.
func accessors(t testing.TB, s *bed.Server) int {
	t.Helper()
	keys, _ := s.Do(t, "LIST", "auth/token/accessors", nil)["keys"].([]any)
	return len(keys)
}

// scripted is a client of a server that answers as handler does.
func scripted(t testing.TB, handler http.HandlerFunc, change func(*vault.Options)) *vault.Client {
	t.Helper()
	s := newHTTPServer(t, handler)
	o := vault.Options{Address: s.URL, Auth: given("s.root"), Timeout: 5 * time.Second}
	if change != nil {
		change(&o)
	}
	return dial(t, o)
}
