package sinks_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	clientauthentication "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/yaml"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

// oddTokens are all that a header takes, among them what JSON, YAML and Basic
// authentication treat specially.
func oddTokens() []string {
	var all strings.Builder
	for c := '!'; c <= '~'; c++ {
		all.WriteRune(c)
	}
	return []string{"ab-._~+/12==", all.String(), "yes", "0123", "1e3", "null", "*a", "&a", "a:b#c", "!a", "|", `<>&"'\`}
}

func render(t *testing.T, name string, o sinks.FormatOptions, value string) []byte {
	t.Helper()
	f, err := sinks.NewFormat(name, o)
	if err != nil {
		t.Fatal(err)
	}
	tok := sample()
	tok.AccessToken = token.NewSecret(value)
	content, err := f.Render(tok)
	if err != nil {
		t.Fatalf("%q: %v", value, err)
	}
	return content
}

func TestDockerConfigurationIsRead(t *testing.T) {
	for _, value := range oddTokens() {
		var got struct {
			Auths map[string]struct{ Username, Password, Auth string }
		}
		content := render(t, "dockerconfigjson", sinks.FormatOptions{Registry: "registry.example:5000"}, value)
		if err := json.Unmarshal(content, &got); err != nil {
			t.Fatal(err)
		}
		entry, ok := got.Auths["registry.example:5000"]
		auth, err := base64.StdEncoding.DecodeString(entry.Auth)
		if !ok || len(got.Auths) != 1 || entry.Username != "oauth2accesstoken" || entry.Password != value || err != nil || string(auth) != "oauth2accesstoken:"+value {
			t.Errorf("%q is read as %+v", value, got)
		}
	}
	if content := render(t, "dockerconfigjson", sinks.FormatOptions{Registry: "r", Username: "AWS"}, "t"); string(content) !=
		`{"auths":{"r":{"username":"AWS","password":"t","auth":"QVdTOnQ="}}}`+"\n" {
		t.Errorf("rendered %s", content)
	}
}

func TestKubeconfigIsReadByClientGo(t *testing.T) {
	for _, value := range oddTokens() {
		content := render(t, "kubeconfig", sinks.FormatOptions{User: "tokend@prod"}, value)
		cfg, err := clientcmd.Load(content)
		if err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		if user := cfg.AuthInfos["tokend@prod"]; len(cfg.AuthInfos) != 1 || user == nil || user.Token != value {
			t.Errorf("%q is read as %+v", value, cfg.AuthInfos)
		}
		if err := yaml.UnmarshalStrict(content, &clientcmdapi.Config{}); err != nil {
			t.Errorf("strictly read: %v", err)
		}
	}
	if content := render(t, "kubeconfig", sinks.FormatOptions{}, "t"); !strings.Contains(string(content), `- name: "tokend"`) {
		t.Errorf("rendered %s", content)
	}
}

func TestExecCredentialIsReadByClientGo(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := clientauthentication.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	for _, value := range oddTokens() {
		content := render(t, "exec-credential", sinks.FormatOptions{}, value)
		object, _, err := decoder.Decode(content, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", content, err)
		}
		cred, ok := object.(*clientauthentication.ExecCredential)
		if !ok || cred.Status == nil || cred.Status.Token != value || cred.Status.ExpirationTimestamp.Unix() != sample().ExpiresAt.Unix() {
			t.Errorf("%q is read as %+v", value, object)
		}
	}
}
