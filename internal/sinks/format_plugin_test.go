package sinks_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

// TestClientGoSendsWhatAPluginPrints has client-go run a plugin that prints the
// format, and looks at what an API server gets to see.
func TestClientGoSendsWhatAPluginPrints(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
	}))
	defer server.Close()
	f, err := sinks.NewFormat("exec-credential", sinks.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	content, err := f.Render(token.Token{AccessToken: token.NewSecret(`a"b\c<d>`), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "credential")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := rest.HTTPClientFor(&rest.Config{Host: server.URL, ExecProvider: &clientcmdapi.ExecConfig{
		APIVersion: sinks.ExecCredentialVersion, Command: "cat", Args: []string{path}, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}})
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if want := `Bearer a"b\c<d>`; seen != want {
		t.Errorf("the API server saw %q, want %q", seen, want)
	}
}
