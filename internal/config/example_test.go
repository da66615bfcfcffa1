package config

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const examplePath = "../../config.example.hcl"

// exampleOptions are a world in which the example's files exist.
func exampleOptions() Options {
	return Options{
		Env: func(name string) (string, bool) {
			value, ok := map[string]string{"CREDENTIALS_DIRECTORY": "/run/credentials/tokend", "VAULT_TOKEN": "t"}[name]
			return value, ok
		},
		Remote: &store{asked: map[string]int{}, values: map[string]string{
			"secret/rator operator": "from Vault", "shop/greymatter password": "from Kubernetes",
		}},
		ReadFile: func(path string) ([]byte, fs.FileMode, error) {
			switch ext := filepath.Ext(path); {
			case path == "/etc/tokend/tenants.json":
				return []byte(`[{"name": "acme", "client_id": "a", "client_secret": "s1"}, {"name": "umbrella", "client_id": "u", "client_secret": "s2"}]`), 0o600, nil
			case ext == ".pem" || ext == ".key":
				return []byte("-----BEGIN EXAMPLE-----\naGVsbG8=\n-----END EXAMPLE-----\n"), 0o600, nil
			case path == "/etc/tokend/kubeconfig":
				return []byte("apiVersion: v1\nkind: Config\n"), 0o600, nil
			case ext == ".secret" || path == "/run/credentials/tokend/state-key":
				return []byte("secret of " + path + "\n"), 0o400, nil
			}
			return nil, 0, fs.ErrNotExist
		},
	}
}

func TestExampleIsValid(t *testing.T) {
	cfg, report := Load([]string{examplePath}, exampleOptions())
	var text strings.Builder
	if err := report.Write(&text, false, 0); err != nil || text.Len() > 0 {
		t.Fatalf("report: %v\n%s", err, &text)
	}
	var names []string
	for _, tok := range cfg.Tokens {
		names = append(names, tok.Name)
	}
	want := "[example greymatter musement musement-customer rator-operator tenant-acme tenant-umbrella]"
	if got := fmt.Sprint(names); got != want {
		t.Errorf("tokens %s, want %s", got, want)
	}
	if got := cfg.Tokens[6].ClientSecret.Reveal(); got != "s2" {
		t.Errorf("the second tenant has another's secret")
	}
	if got := cfg.Providers[0].ClientSecret.Reveal(); got != "secret of /etc/tokend/example.secret" {
		t.Errorf("a secret file's trailing newline is not trimmed: %q", got)
	}
}

// commentedOut are lines that are an alternative, and not prose.
var commentedOut = regexp.MustCompile(`(?m)^( *)#(\S.*|  .*)\n`)

// alternatives returns the example once for each run of lines that are commented
// out, with these in the place of the blocks that they are alternatives to.
func alternatives(t *testing.T) []string {
	t.Helper()
	data, _, err := readFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	runs := regexp.MustCompile(`(?m)(^ *#(\S.*|  .*)\n)+`).FindAllIndex(data, -1)
	for _, run := range runs {
		before, lines, after := string(data[:run[0]]), data[run[0]:run[1]], string(data[run[1]:])
		alternative := commentedOut.ReplaceAllString(string(lines), "$1$2\n")
		typ, _, _ := strings.Cut(strings.TrimSpace(alternative), " ")
		live := regexp.MustCompile(`(?m)^ *`+typ+` "(.*\n)+? *}\n`).FindAllStringIndex(before, -1)
		if len(live) == 0 {
			t.Fatalf("nothing stands where %q could", alternative)
		}
		at := live[len(live)-1]
		all = append(all, before[:at[0]]+alternative+before[at[1]:]+after)
	}
	return append(all, string(data))
}

func TestAlternativesOfTheExampleAreValid(t *testing.T) {
	all := alternatives(t)
	if len(all) < 9 {
		t.Errorf("only %d alternatives were found", len(all))
	}
	for _, text := range all {
		_, report := loadText(t, text, exampleOptions())
		var out strings.Builder
		if err := report.Write(&out, false, 0); err != nil || out.Len() > 0 {
			t.Errorf("report: %v\n%s", err, &out)
		}
	}
}

// TestExampleHasEveryKey fails when a key of the language is missing from the
// example.
func TestExampleHasEveryKey(t *testing.T) {
	seen := map[string]bool{}
	var walk func(block string, body *hclsyntax.Body)
	walk = func(block string, body *hclsyntax.Body) {
		for name := range body.Attributes {
			seen[block+"."+name] = true
		}
		for _, blk := range body.Blocks {
			name := blk.Type
			switch {
			case name == "sink" || name == "state" || name == "auth":
				name += " " + blk.Labels[0]
			case name == "tls" && block == "vault":
				name = "vault tls"
			}
			walk(name, blk.Body)
		}
	}
	for _, text := range alternatives(t) {
		file, diags := hclsyntax.ParseConfig([]byte(text), examplePath, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		walk("", file.Body.(*hclsyntax.Body))
	}
	schemas := map[string]schema{
		"kubernetes": kubernetesSchema, "vault": vaultSchema, "vault tls": vaultTLSSchema, "ha": haSchema,
		"state file": stateSchema, "state kubernetes_secret": kubernetesStateSchema, "state vault_kv": vaultStateSchema,
		"http": httpSchema, "metrics": metricsSchema, "systemd": systemdSchema, "tracing": tracingSchema, "control": controlSchema, "log": logSchema,
		"provider": providerSchema, "request": requestSchema, "response": responseSchema, "refresh_tokens": refreshTokensSchema,
		"schedule": scheduleSchema, "limits": limitsSchema, "tls": tlsSchema,
		"token": tokenSchema, "probe": probeSchema, "on_update": onUpdateSchema, "dynamic": dynamicSchema,
		"sink file": fileSinkSchema, "sink kubernetes_secret": kubernetesSinkSchema, "sink vault_kv": vaultSinkSchema,
	}
	for method, sch := range authSchemas {
		schemas["auth "+method] = *sch
	}
	for block, sch := range schemas {
		for _, name := range sch.attrs {
			if !seen[block+"."+name] {
				t.Errorf("the example does not show %s.%s", block, name)
			}
		}
	}
}

// TestExampleShowsDefaults holds the example's comment to its word, for the
// provider that says it spells out the defaults.
func TestExampleShowsDefaults(t *testing.T) {
	cfg, report := Load([]string{examplePath}, exampleOptions())
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	plain, report := loadText(t, `
provider "plain" {
  token_endpoint = "https://auth.example/oauth2/token"
}
`, Options{})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	got, want := *cfg.Providers[0], *plain.Providers[0]
	if !reflect.DeepEqual(got.Requests[""], want.Requests[""]) || got.Response != want.Response || got.RefreshTokens != want.RefreshTokens || got.Timeout != want.Timeout || got.Limits.Concurrency != want.Limits.Concurrency {
		t.Errorf("example %+v\ndefaults %+v", got, want)
	}
	got.Schedule.Cron, got.Schedule.LoginCron = nil, nil
	if !reflect.DeepEqual(got.Schedule, want.Schedule) {
		t.Errorf("schedule %+v, default %+v", got.Schedule, want.Schedule)
	}
}
