package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const oneVault = `
vault "main" {
  address = "https://vault.example:8200"
  auth "token" {
    token = "t"
  }
}
`

func oneToken(sinks string) string {
	return oneProvider + "token \"t\" {\n  provider = \"p\"\n  grant \"client_credentials\" {}\n" + sinks + "}\n"
}

func mustLoad(t *testing.T, text string, opts Options) (*Config, *Report) {
	t.Helper()
	cfg, report := loadText(t, text, opts)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg, report
}

func TestSinksInKubernetes(t *testing.T) {
	cfg, _ := mustLoad(t, `
kubernetes "main" {
  context = "prod"
}
`+oneToken(`
  sink "kubernetes_secret" {
    name = "short"
    data = { token = "{{ .AccessToken }}" }
  }
  sink "kubernetes_secret" {
    kubernetes  = "main"
    namespace   = "shop"
    name        = "long"
    type        = "kubernetes.io/dockerconfigjson"
    data        = { "a.b" = "{{ .AccessToken }}", none = null }
    formats     = { ".dockerconfigjson" = "dockerconfigjson" }
    registry    = "registry.example"
    labels      = { "example.com/team" = "shop" }
    annotations = { note = "any: thing" }
    propagation = "5s"
    on_remove   = "delete"
  }
`), Options{})
	main := &Kubernetes{Name: "main", Context: "prod", QPS: 50, Burst: 100}
	want := []Sink{
		{Kind: "kubernetes_secret", Propagation: 90 * time.Second, Kubernetes: &KubernetesSink{
			Kubernetes: main, Name: "short", Type: "Opaque", Data: map[string]string{"token": "{{ .AccessToken }}"}, OnRemove: "keep",
		}},
		{Kind: "kubernetes_secret", Propagation: 5 * time.Second, Kubernetes: &KubernetesSink{
			Kubernetes: main, Namespace: "shop", Name: "long", Type: "kubernetes.io/dockerconfigjson",
			Data: map[string]string{"a.b": "{{ .AccessToken }}"}, Formats: map[string]string{".dockerconfigjson": "dockerconfigjson"},
			FormatOptions: FormatOptions{Registry: "registry.example", Username: "oauth2accesstoken"},
			Labels:        map[string]string{"example.com/team": "shop"}, Annotations: map[string]string{"note": "any: thing"}, OnRemove: "delete",
		}},
	}
	if got := cfg.Tokens[0].Sinks; !reflect.DeepEqual(got, want) {
		t.Errorf("sinks %+v\nwant %+v", got, want)
	}
	if cfg.Tokens[0].Sinks[0].Kubernetes.Kubernetes != cfg.Kubernetes[0] {
		t.Error("a sink has a kubernetes block of its own")
	}
}

func TestSinksInVault(t *testing.T) {
	cfg, _ := mustLoad(t, oneVault+oneToken(`
  sink "vault_kv" {
    mount = "secret"
    path  = "short"
    data  = { token = "{{ .AccessToken }}" }
  }
  sink "vault_kv" {
    vault        = "main"
    mount        = "team/kv"
    path         = "apps/long"
    version      = 2
    formats      = { header = "header", kube = "kubeconfig" }
    user         = "me"
    metadata     = { owner = "shop" }
    max_versions = 3
    check_every  = "10s"
    propagation  = "1m"
    on_remove    = "delete"
  }
`), Options{})
	want := []Sink{
		{Kind: "vault_kv", Vault: &VaultSink{
			Vault: cfg.Vaults[0], Mount: "secret", Path: "short", Data: map[string]string{"token": "{{ .AccessToken }}"}, CheckEvery: time.Minute, OnRemove: "keep",
		}},
		{Kind: "vault_kv", Propagation: time.Minute, Vault: &VaultSink{
			Vault: cfg.Vaults[0], Mount: "team/kv", Path: "apps/long", Version: 2, Formats: map[string]string{"header": "header", "kube": "kubeconfig"},
			FormatOptions: FormatOptions{User: "me"}, Metadata: map[string]string{"owner": "shop"}, MaxVersions: 3, CheckEvery: 10 * time.Second, OnRemove: "delete",
		}},
	}
	if got := cfg.Tokens[0].Sinks; !reflect.DeepEqual(got, want) {
		t.Errorf("sinks %+v\nwant %+v", got, want)
	}
}

func TestVaultLogins(t *testing.T) {
	for text, want := range map[string]VaultAuth{
		`auth "token" {
		  token = "t"
		}`: {Method: "token", Token: token.NewSecret("t")},
		`auth "token_file" {
		  path = "/run/vault-token"
		}`: {Method: "token_file", TokenFile: "/run/vault-token"},
		`auth "approle" {
		  role_id           = "r"
		  secret_id         = "s"
		  secret_id_wrapped = true
		  mount             = "team/approle"
		}`: {Method: "approle", Mount: "team/approle", RoleID: "r", SecretID: token.NewSecret("s"), SecretIDWrapped: true},
		`auth "approle" {
		  role_id        = "r"
		  secret_id_file = "/run/secret-id"
		}`: {Method: "approle", Mount: "approle", RoleID: "r", SecretIDFile: "/run/secret-id"},
		`auth "kubernetes" {
		  role = "tokend"
		}`: {Method: "kubernetes", Mount: "kubernetes", Role: "tokend", JWTFile: serviceAccountToken},
		`auth "jwt" {
		  role     = "tokend"
		  jwt_file = "/run/jwt"
		}`: {Method: "jwt", Mount: "jwt", Role: "tokend", JWTFile: "/run/jwt"},
		`auth "cert" {
		}
		tls {
		  cert_file   = "client.pem"
		  key_file    = "/client.pem"
		  server_name = "vault.internal"
		}`: {Method: "cert", Mount: "cert"},
	} {
		cfg, _ := mustLoad(t, "vault \"main\" {\n  address = \"https://vault.example:8200/\"\n"+text+"\n}\n", exampleOptions())
		if got := cfg.Vaults[0]; !reflect.DeepEqual(got.Auth, want) || got.Timeout != 10*time.Second || (want.Method == "cert") != (got.TLS.ServerName == "vault.internal") {
			t.Errorf("%s\n%+v\nwant %+v", text, got, want)
		}
	}
}

func TestStateAndReplicasElsewhere(t *testing.T) {
	const text = oneVault + `
ha "kubernetes" {
}
`
	cfg, _ := mustLoad(t, text+"state \"vault_kv\" {\n  key = \"k\"\n}\n", Options{})
	again, _ := mustLoad(t, text+"state \"vault_kv\" {\n  key = \"k\"\n}\n", Options{})
	want := State{Kind: "vault_kv", Key: token.NewSecret("k"), Vault: *cfg.Vaults[0], Mount: "secret", Path: "tokend/state"}
	if !reflect.DeepEqual(cfg.State, want) {
		t.Errorf("state %+v, want %+v", cfg.State, want)
	}
	usual := Kubernetes{QPS: 50, Burst: 100}
	if got := (HA{Kubernetes: usual, Name: "tokend", Shards: 1, LeaseDuration: 15 * time.Second, RenewEvery: 5 * time.Second}); *cfg.HA != got {
		t.Errorf("ha %+v, want %+v", *cfg.HA, got)
	}
	if !reflect.DeepEqual(cfg.State, again.State) || *cfg.HA != *again.HA {
		t.Error("what has not changed compares as if it had")
	}
	if len(cfg.Kubernetes) != 1 || *cfg.Kubernetes[0] != usual {
		t.Errorf("the usual way to Kubernetes is missing: %+v", cfg.Kubernetes)
	}
	cfg, _ = mustLoad(t, text+"state \"kubernetes_secret\" {\n  namespace = \"ops\"\n}\n", Options{})
	if want := (State{Kind: "kubernetes_secret", Kubernetes: usual, Namespace: "ops", Prefix: "tokend-state"}); !reflect.DeepEqual(cfg.State, want) {
		t.Errorf("state %+v, want %+v", cfg.State, want)
	}
}

func TestSecretsFromElsewhereAreReadOnce(t *testing.T) {
	world := newStore()
	world.values["secret/p name"], world.values["secret/p password"], world.values["shop/fleet tenants"] = "p", "hunter2\n", `["a", "b"]`
	cfg, report := mustLoad(t, oneVault+`
provider "p" {
  token_endpoint = "https://auth.example/token"
  client_id      = vault("secret/p", "name")
  client_secret  = vault("secret/p", "password", "main")
}
dynamic "token" {
  for_each = jsondecode(kubernetes_secret("shop/fleet", "tenants"))
  labels   = [token.value]
  content {
    provider      = "p"
    client_secret = vault("secret/p", "password")
    grant "client_credentials" {}
  }
}
`, Options{Remote: world})
	for what, times := range world.asked {
		if times != 1 {
			t.Errorf("%s was read %d times", what, times)
		}
	}
	if len(cfg.Tokens) != 2 || cfg.Tokens[1].ClientSecret.Reveal() != "hunter2" || cfg.Tokens[1].ClientID != "p" {
		t.Errorf("tokens %+v", cfg.Tokens)
	}
	want := []RemoteSecret{
		{RemoteRef{Kubernetes: cfg.Kubernetes[0], Namespace: "shop", Name: "fleet", Field: "tenants"}, token.NewSecret(`["a", "b"]`)},
		{RemoteRef{Vault: cfg.Vaults[0], Path: "secret/p", Field: "name"}, token.NewSecret("p")},
		{RemoteRef{Vault: cfg.Vaults[0], Path: "secret/p", Field: "password"}, token.NewSecret("hunter2\n")},
	}
	if !reflect.DeepEqual(report.Remote, want) {
		t.Errorf("read %+v\nwant %+v", report.Remote, want)
	}
}

// TestMendIsNoticedElsewhereToo: what could not be read is watched as well.
func TestMendIsNoticedElsewhereToo(t *testing.T) {
	world := newStore()
	text := oneVault + strings.ReplaceAll(oneProvider, `"secret"`, `vault("secret/p", "password")`)
	_, report := loadText(t, text, Options{Remote: world})
	if err := report.Err(); err == nil || len(report.Remote) != 1 || !report.Remote[0].Read.IsEmpty() {
		t.Errorf("error %v, to be watched: %v", err, report.Remote)
	}
}

func TestServerThatIsDownIsAskedOnce(t *testing.T) {
	world := newStore()
	world.down["main"] = true
	_, report := loadText(t, oneVault+oneToken(`
  client_id     = vault("secret/a", "a")
  client_secret = vault("secret/b", "b")
`), Options{Remote: world})
	if len(world.asked) != 1 || len(report.Diagnostics) != 2 {
		t.Errorf("asked for %v, said %v", world.asked, report.Diagnostics)
	}
}

// TestNothingIsReadWithoutARemote: what can be judged nevertheless is.
func TestNothingIsReadWithoutARemote(t *testing.T) {
	cfg, report := mustLoad(t, oneVault+strings.ReplaceAll(oneProvider, `"secret"`, `vault("secret/p", "password")`), Options{})
	if len(report.Remote) != 1 || cfg.Providers[0].ClientSecret.IsEmpty() {
		t.Errorf("remote %v, provider %+v", report.Remote, cfg.Providers[0])
	}
	_, report = loadText(t, oneVault+strings.ReplaceAll(oneProvider, `"secret"`, `vault("secret", "password")`), Options{})
	if report.Err() == nil {
		t.Error("a path that cannot be one passes")
	}
}

// TestFleetSharesWhatIsConstant: ten thousand sinks hold the same templates once.
func TestFleetSharesWhatIsConstant(t *testing.T) {
	cfg, _ := mustLoad(t, oneProvider+`
dynamic "token" {
  for_each = ["a", "b"]
  labels   = [token.value]
  content {
    provider = "p"
    grant "client_credentials" {}
    sink "kubernetes_secret" {
      name   = token.value
      data   = { token = "{{ .AccessToken }}" }
      labels = { tenant = token.value }
    }
  }
}
`, Options{})
	a, b := cfg.Tokens[0].Sinks[0].Kubernetes, cfg.Tokens[1].Sinks[0].Kubernetes
	if reflect.ValueOf(a.Data).Pointer() != reflect.ValueOf(b.Data).Pointer() {
		t.Error("the templates are held twice")
	}
	if a.Labels["tenant"] != "a" || b.Labels["tenant"] != "b" || a.Name != "a" || b.Name != "b" {
		t.Errorf("sinks %+v and %+v", a, b)
	}
}
