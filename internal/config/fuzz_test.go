package config

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// canary is what every input holds while Load is fuzzed. It makes no good name,
// so that nothing has a reason to show it, and it stands in no seed, where it
// could be a label. What literals show is TestMask's to say.
const canary = "Zq9 CANARY 7Kd"

// fuzzOptions are a world in which every file exists but those that are missing.
func fuzzOptions() Options {
	return Options{
		Env: func(name string) (string, bool) {
			if name == "STATE_DIRECTORY" || name == "RUNTIME_DIRECTORY" {
				return "", false
			}
			return canary, !strings.Contains(name, "UNSET")
		},
		ReadFile: func(path string) ([]byte, fs.FileMode, error) {
			switch {
			case strings.Contains(path, "missing"):
				return nil, 0, fs.ErrNotExist
			case strings.HasSuffix(path, ".json"):
				return []byte(`[{"name": "a", "id": "1", "secret": "` + canary + `"}, {"name": "` + canary + `"}]`), 0o644, nil
			case strings.HasSuffix(path, ".pem"):
				return []byte("-----BEGIN X-----\naGVsbG8=\n-----END X-----\n"), 0o600, nil
			}
			return []byte(canary + "\n"), 0o600, nil
		},
		Remote: fuzzRemote{},
	}
}

// fuzzRemote has every secret but those that are missing.
type fuzzRemote struct{}

func (fuzzRemote) read(path string) (string, error) {
	switch {
	case strings.Contains(path, "missing"):
		return "", fs.ErrNotExist
	case strings.Contains(path, "down"):
		return "", ErrUnavailable
	case strings.Contains(path, "tenants"):
		return `[{"name": "a", "id": "1", "secret": "` + canary + `"}, {"name": "` + canary + `"}]`, nil
	}
	return canary, nil
}

func (r fuzzRemote) Vault(_ context.Context, block *Vault, path, _ string) (string, error) {
	if block == nil || !validVaultPath(path) {
		panic("a path that is none: " + path)
	}
	return r.read(path)
}

func (r fuzzRemote) KubernetesSecret(_ context.Context, block *Kubernetes, namespace, name, _ string) (string, error) {
	if block == nil || !isLabelName(namespace) || !isSubdomain(name) {
		panic("a name that is none: " + name)
	}
	return r.read(name)
}

// FuzzLoad: no text makes Load panic, return neither a Config nor an error, or
// show what it has read.
func FuzzLoad(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		opts := fuzzOptions()
		if len(text)%3 == 0 {
			opts.Remote = nil
		}
		d := newDecoder(opts)
		src, _ := d.parseBytes([]byte(text), "tokend.hcl", "/etc/tokend")
		cfg, report := d.load([]source{src})
		if (cfg == nil) != (report.Err() != nil) {
			t.Fatalf("config %v with error %v", cfg, report.Err())
		}
		if cfg != nil && opts.Remote != nil {
			checkConfig(t, cfg)
		}
		var out strings.Builder
		if err := report.Write(&out, len(text)%2 == 0, len(text)%120); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), canary) {
			t.Fatalf("the report shows an input:\n%s", &out)
		}
		for _, diag := range report.Diagnostics {
			if strings.Contains(diag.String(), canary) {
				t.Fatalf("a diagnostic shows an input: %s", diag)
			}
		}
	})
}

// checkConfig holds a Config to what the documentation of its types says.
func checkConfig(t *testing.T, cfg *Config) {
	t.Helper()
	for _, p := range cfg.Providers {
		if p.TokenEndpoint == "" || p.Timeout <= 0 || p.Limits.Concurrency < 1 || p.Response.DefaultLifetime <= 0 {
			t.Errorf("provider %+v", p)
		}
		for grantType, r := range p.Requests {
			if r.Method == "" || r.ParamsIn == "" || r.ClientAuth == "" || r.BasicEncoding == "" {
				t.Errorf("the request %q is not complete: %s", grantType, r.show())
			}
		}
	}
	for _, tok := range cfg.Tokens {
		if tok.Provider == nil || tok.Grant.Kind == "" || tok.Schedule.MinInterval <= 0 {
			t.Errorf("token %+v", tok)
		}
		for _, sink := range tok.Sinks {
			checkSink(t, sink)
		}
	}
	if s := cfg.State; s.Kind == "file" && !filepath.IsAbs(s.Dir) || s.Kind == "vault_kv" && (s.Vault.Address == "" || s.Mount == "") || s.Kind == "kubernetes_secret" && s.Prefix == "" {
		t.Errorf("state %+v", s)
	}
	if ha := cfg.HA; ha != nil && (cfg.State.Kind == "file" || ha.Shards < 1 || 2*ha.RenewEvery >= ha.LeaseDuration) {
		t.Errorf("ha %+v", ha)
	}
}

func checkSink(t *testing.T, s Sink) {
	t.Helper()
	good := s.Propagation >= 0
	switch s.Kind {
	case "file":
		good = good && filepath.IsAbs(s.File.Path) && (s.File.Format == "") != (s.File.Template == "")
	case "kubernetes_secret":
		k := s.Kubernetes
		good = good && k.Kubernetes != nil && isSubdomain(k.Name) && k.Type != "" && len(k.Data)+len(k.Formats) > 0
	case "vault_kv":
		v := s.Vault
		good = good && v.Vault != nil && v.Vault.Auth.Method != "" && validVaultPath(v.Mount+"/"+v.Path) && v.CheckEvery > 0 && len(v.Data)+len(v.Formats) > 0
	default:
		good = false
	}
	if !good {
		t.Errorf("sink %+v", s)
	}
}

func addSeeds(f *testing.F) {
	f.Helper()
	example, err := os.ReadFile(examplePath)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(example))
	f.Add(commentedOut.ReplaceAllString(string(example), "$1$2\n"))
	d := newDecoder(Options{})
	for _, name := range d.profileNames() {
		data, err := profileFiles.ReadFile(profileDir + name + ".hcl")
		if err != nil {
			f.Fatal(err)
		}
		f.Add("provider \"" + name + "\" {\n" + string(data) + "}\n")
	}
	archives, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(fileOf(archive, "tokend.hcl"))
	}
}
