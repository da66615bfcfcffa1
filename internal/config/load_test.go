package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// loadText loads one file of the given text.
func loadText(t testing.TB, text string, opts Options) (*Config, *Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokend.hcl")
	write(t, path, text)
	return Load([]string{path}, opts)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func noEnv(string) (string, bool) { return "", false }

const oneProvider = `
provider "p" {
  token_endpoint = "https://auth.example/token"
  client_id      = "id"
  client_secret  = "secret"
}
`

func TestDefaultsOfAFileWithoutBlocks(t *testing.T) {
	cfg, report := loadText(t, "# nothing\n", Options{Env: noEnv})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if cfg.State.Dir != "/var/lib/tokend" || cfg.Control.Socket != "/run/tokend/control.sock" || cfg.HTTP != nil || cfg.Metrics.PerTokenUpTo != 1000 || cfg.Systemd.Ready != "delivered" || cfg.Log.Format != "json" {
		t.Errorf("defaults: %+v", cfg)
	}
}

func TestDirectoriesOfSystemd(t *testing.T) {
	env := map[string]string{"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "RUNTIME_DIRECTORY": "/run/a:/run/b"}
	cfg, report := loadText(t, "# nothing\n", Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if cfg.State.Dir != "/var/lib/a" || cfg.Control.Socket != "/run/a/control.sock" {
		t.Errorf("state %q, socket %q", cfg.State.Dir, cfg.Control.Socket)
	}
}

func TestFilesAndDirectoriesAreMergedInOrder(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf", "b.hcl"), `token "b" {
  provider = "p"
  grant "client_credentials" {}
}
`)
	write(t, filepath.Join(dir, "conf", "a.hcl"), oneProvider)
	write(t, filepath.Join(dir, "conf", ".a.hcl.swp.hcl"), "half-written {")
	write(t, filepath.Join(dir, "conf", "README"), "not hcl")
	write(t, filepath.Join(dir, "more.hcl"), `token "a" {
  provider = "p"
  grant "client_credentials" {}
}
`)
	cfg, report := Load([]string{filepath.Join(dir, "conf"), filepath.Join(dir, "more.hcl"), filepath.Join(dir, "conf", "a.hcl")}, Options{})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if len(cfg.Tokens) != 2 || cfg.Tokens[0].Name != "a" || cfg.Tokens[0].Provider != cfg.Tokens[1].Provider {
		t.Errorf("tokens: %+v", cfg.Tokens)
	}
	want := []string{filepath.Join(dir, "conf", "a.hcl"), filepath.Join(dir, "conf", "b.hcl"), filepath.Join(dir, "more.hcl")}
	if !slices.Equal(report.Sources, want) {
		t.Errorf("sources %v, want %v", report.Sources, want)
	}
}

func TestMissingEmptyAndUnreadableSources(t *testing.T) {
	dir, empty := t.TempDir(), filepath.Join(t.TempDir(), "empty.hcl")
	write(t, empty, " \n\n")
	for name, paths := range map[string][]string{
		"empty file":      {empty},
		"no path":         nil,
		"missing":         {filepath.Join(dir, "nothing.hcl")},
		"empty directory": {dir},
		"not a file":      {"/dev/zero"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, report := Load(paths, Options{})
			var fault *Error
			if cfg != nil || !errors.As(report.Err(), &fault) {
				t.Fatalf("config %v, error %v", cfg, report.Err())
			}
			if !slices.Equal(report.Watch, watchable(paths)) {
				t.Errorf("watched %v, want %v", report.Watch, paths)
			}
		})
	}
}

func watchable(paths []string) []string { return append([]string{}, paths...) }

func TestRelativeFilesStartAtTheirConfigFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "conf", "tokend.hcl"), strings.ReplaceAll(oneProvider, `"secret"`, `file("sub/secret")`))
	write(t, filepath.Join(dir, "conf", "sub", "secret"), "from the file\n\n")
	cfg, report := Load([]string{filepath.Join(dir, "conf", "tokend.hcl")}, Options{})
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	if got := cfg.Providers[0].ClientSecret.Reveal(); got != "from the file\n" {
		t.Errorf("secret %q: exactly one trailing newline is to be trimmed", got)
	}
	if !slices.Contains(report.Watch, filepath.Join(dir, "conf", "sub", "secret")) {
		t.Errorf("watched %v", report.Watch)
	}
}

// TestWatchIsFilledWhenTheLoadFails: the mend of a missing secret file must be
// noticed.
func TestWatchIsFilledWhenTheLoadFails(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "tokend.hcl")
	write(t, conf, strings.ReplaceAll(oneProvider, `"secret"`, `file("missing")`))
	_, report := Load([]string{conf}, Options{})
	if report.Err() == nil {
		t.Fatal("a missing secret file was taken")
	}
	if want := []string{filepath.Join(dir, "missing"), conf}; !slices.Equal(report.Watch, want) {
		t.Errorf("watched %v, want %v", report.Watch, want)
	}
}

// TestWatchSeesThroughSymlinks: a ConfigMap's files are links through ..data,
// and what changes is where they point.
func TestWatchSeesThroughSymlinks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "..2026", "secret"), "s")
	if err := errors.Join(os.Symlink("..2026", filepath.Join(dir, "..data")), os.Symlink("..data/secret", filepath.Join(dir, "secret"))); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "tokend.hcl")
	write(t, conf, strings.ReplaceAll(oneProvider, `"secret"`, `file("secret")`))
	_, report := Load([]string{conf}, Options{})
	for _, want := range []string{filepath.Join(dir, "secret"), filepath.Join(dir, "..2026", "secret")} {
		if !slices.Contains(report.Watch, want) {
			t.Errorf("%s is not in %v", want, report.Watch)
		}
	}
}

func TestInputsAreReadOnce(t *testing.T) {
	reads := 0
	_, report := loadText(t, strings.ReplaceAll(oneProvider, `"secret"`, `file("/s")`)+`
dynamic "token" {
  for_each = range(100)
  labels   = ["t${token.key}"]
  content {
    provider      = "p"
    client_secret = file("/s")
    grant "client_credentials" {}
  }
}
`, Options{ReadFile: func(string) ([]byte, fs.FileMode, error) { reads++; return []byte("s"), 0o600, nil }})
	if report.Err() != nil || reads != 1 {
		t.Errorf("%d reads, error %v", reads, report.Err())
	}
}

func TestErrorNamesTheFirstFaultAndTheCount(t *testing.T) {
	_, report := loadText(t, "log {\n  level = \"loud\"\n}\nfrobnicate {\n}\n", Options{})
	err := report.Err()
	if err == nil || !strings.Contains(err.Error(), "2 faults") || !strings.Contains(err.Error(), "tokend.hcl:2,11: Unsuitable value") {
		t.Errorf("error: %v", err)
	}
}

func TestTemplatesAreCheckedByWhoKnowsThem(t *testing.T) {
	text := oneProvider + `
token "t" {
  provider = "p"
  grant "client_credentials" {}
  sink "file" {
    path     = "/run/t"
    template = "{{ .AccesToken }}"
  }
}
`
	if _, report := loadText(t, text, Options{}); report.Err() != nil {
		t.Fatal(report.Err())
	}
	_, report := loadText(t, text, Options{CheckTemplate: func(string) error { return errors.New("no such field") }})
	if err := report.Err(); err == nil || !strings.Contains(err.Error(), "no such field") {
		t.Errorf("error: %v", err)
	}
}
