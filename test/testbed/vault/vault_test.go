package vault_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/vault"
)

// asParent makes the test binary start a server and wait to be killed.
const asParent = "TOKEND_TEST_VAULT_PARENT"

// TestMain has no server: what is tested here are starts and ends.
func TestMain(m *testing.M) {
	if os.Getenv(asParent) != "" {
		s, err := vault.Start(context.Background(), vault.Options{})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, s.Address)
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestKillAndRestartKeepWhatWasStored(t *testing.T) {
	t.Parallel()
	for _, storage := range []string{"file", "raft"} {
		t.Run(storage, func(t *testing.T) {
			t.Parallel()
			s := vault.Own(t, vault.Options{Storage: storage})
			mount := s.Mount(t, 2)
			put(t, s, mount+"/data/a", map[string]any{"data": map[string]string{"k": "v"}})
			address := s.Address
			s.Kill()
			if _, err := s.Call(t.Context(), http.MethodGet, mount+"/data/a", nil); err == nil {
				t.Fatal("a killed server answered")
			}
			if err := s.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			data, _ := s.Do(t, http.MethodGet, mount+"/data/a", nil)["data"].(map[string]any)
			if data["k"] != "v" || s.Address != address {
				t.Errorf("after the restart at %s: %v", s.Address, data)
			}
		})
	}
}

func TestASealedServerAnswers503(t *testing.T) {
	t.Parallel()
	s := vault.Own(t, vault.Options{})
	mount := s.Mount(t, 1)
	if err := s.Seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, s.RootToken, mount+"/a", "503")
	if err := s.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, s, mount+"/a", map[string]string{"k": "v"})
	if err := s.RestartSealed(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, s.RootToken, mount+"/a", "503")
}

func TestAnEntryOverOneMiBIsRefusedByRaftAlone(t *testing.T) {
	t.Parallel()
	s := vault.Own(t, vault.Options{Storage: "raft"})
	mount := s.Mount(t, 2)
	_, err := s.Call(t.Context(), http.MethodPut, mount+"/data/a", map[string]any{
		"data": map[string]string{"k": strings.Repeat("x", 1<<20)},
	})
	if err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("an entry over 1 MiB: %v, want a 500", err)
	}
}

// TestWhatTestsRelyOn goes through all that can be arranged, with one server.
func TestWhatTestsRelyOn(t *testing.T) {
	t.Parallel()
	s := vault.Own(t, vault.Options{})
	mount := s.Mount(t, 2)
	path := mount + "/data/a"
	may := s.Policy(t, `path "`+path+`" { capabilities = ["create", "update", "read"] }`)
	body := map[string]any{"data": map[string]string{"k": "v"}}

	token := s.Token(t, vault.Token{Policies: []string{may}, TTL: time.Hour})
	takes(t, s, token, path, body)
	s.SetPolicy(t, may, `path "`+path+`" { capabilities = ["read"] }`)
	refuses(t, s, token, path, "403")
	s.SetPolicy(t, may, `path "`+path+`" { capabilities = ["update"] }`)
	takes(t, s, token, path, body)
	s.Revoke(t, token)
	refuses(t, s, token, path, "403")

	before := s.Count(t, "PUT /v1/"+path)
	s.LoseAnswers(t, "PUT /v1/"+path, 1)
	if _, err := s.Call(t.Context(), http.MethodPut, path, map[string]any{"data": map[string]string{"k": "lost"}}); err == nil {
		t.Error("a lost answer arrived")
	}
	s.LoseRequests(t, "PUT /v1/"+path, 1)
	if _, err := s.Call(t.Context(), http.MethodPut, path, body); err == nil {
		t.Error("a lost request was answered")
	}
	data, _ := s.Do(t, http.MethodGet, path, nil)["data"].(map[string]any)
	if data["k"] != "lost" {
		t.Errorf("the write whose answer was lost: %v", data)
	}
	if n := s.Count(t, "PUT /v1/"+path) - before; n != 2 {
		t.Errorf("%d puts were counted, want 2", n)
	}

	release := s.HoldAnswers(t, "GET /v1/"+path, 1)
	held := make(chan map[string]any, 1)
	before = s.Count(t, "GET /v1/"+path)
	go func() {
		answer, _ := s.Call(t.Context(), http.MethodGet, path, nil)
		held <- answer
	}()
	for s.Count(t, "GET /v1/"+path) == before {
		time.Sleep(time.Millisecond)
	}
	put(t, s, path, body)
	if len(held) != 0 {
		t.Error("a held answer arrived")
	}
	release()
	if data, _ := (<-held)["data"].(map[string]any); data["k"] != "lost" {
		t.Errorf("the held answer is %v, want what was there before", data)
	}

	remove := s.Quota(t, mount, 1)
	for {
		if _, err := s.Call(t.Context(), http.MethodGet, path, nil); err != nil {
			if !strings.Contains(err.Error(), "429") {
				t.Fatal(err)
			}
			break
		}
	}
	remove()
	s.Do(t, http.MethodGet, path, nil)
	s.Unmount(t, mount)
	if _, err := s.Call(t.Context(), http.MethodPut, path, body); err != nil {
		t.Errorf("Call to an absent mount: %v, want its 404 as an empty answer", err)
	}
}

func TestLogins(t *testing.T) {
	t.Parallel()
	s := vault.Own(t, vault.Options{})
	mount := s.Mount(t, 1)
	may := s.Policy(t, `path "`+mount+`/*" { capabilities = ["create", "update"] }`)
	o := vault.Token{Policies: []string{may}, TTL: time.Minute}

	role := s.AppRole(t, o)
	token := login(t, s, role.Mount, map[string]any{"role_id": role.RoleID, "secret_id": role.SecretID(t)})
	takes(t, s, token, mount+"/a", map[string]string{"k": "v"})
	s.RevokeLogins(t, role.Mount)
	refuses(t, s, token, mount+"/a", "403")
	if role.WrappedSecretID(t, time.Minute) == "" {
		t.Error("no wrapped secret_id")
	}
	role.DestroySecretIDs(t)

	signed := s.JWT(t, o)
	token = login(t, s, signed.Mount, map[string]any{"role": signed.Name, "jwt": signed.Sign(t, time.Minute)})
	takes(t, s, token, mount+"/a", map[string]string{"k": "v"})

	s.Cert(t, o)
	s.ClientCertificate(t)
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	s.Kubernetes(t, vault.KubernetesAuth{
		Host: "https://127.0.0.1:1", CA: ca, Reviewer: signed.Sign(t, time.Minute), Namespace: "a", ServiceAccount: "b",
	}, o)
}

// TestTheServerEndsWithItsParent kills a process that started a server.
func TestTheServerEndsWithItsParent(t *testing.T) {
	t.Parallel()
	if _, err := vault.Binary(t.Context()); err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), asParent+"=true", "TMPDIR="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dial := func() error {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(strings.TrimSpace(address), "https://"))
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	if err := dial(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	for deadline := time.Now().Add(10 * time.Second); dial() == nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server outlives the process that started it")
		}
	}
}

func login(t *testing.T, s *vault.Server, mount string, body map[string]any) string {
	t.Helper()
	answer := s.Do(t, http.MethodPost, "auth/"+mount+"/login", body)
	auth, _ := answer["auth"].(map[string]any)
	token, _ := auth["client_token"].(string)
	if token == "" {
		t.Fatalf("no token from %s", mount)
	}
	return token
}

func put(t *testing.T, s *vault.Server, path string, body any) {
	t.Helper()
	s.Do(t, http.MethodPut, path, body)
}

func takes(t *testing.T, s *vault.Server, token, path string, body any) {
	t.Helper()
	if _, err := s.CallAs(t.Context(), token, http.MethodPut, path, body); err != nil {
		t.Error(err)
	}
}

func refuses(t *testing.T, s *vault.Server, token, path, status string) {
	t.Helper()
	_, err := s.CallAs(t.Context(), token, http.MethodPut, path, map[string]string{"k": "v"})
	if err == nil || !strings.Contains(err.Error(), status) {
		t.Errorf("PUT %s: %v, want a %s", path, err, status)
	}
}
