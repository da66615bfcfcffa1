package config

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// TestFaults loads every archive of testdata/faults and compares what the
// report says with the archive's file "want". The comment of an archive may set
// modes ("mode FILE 0644"), links ("link NAME TARGET") and the environment
// ("env NAME=VALUE"); what is in Vault or Kubernetes ("vault PATH FIELD VALUE",
// "secret NAMESPACE/NAME KEY VALUE") or that they do not answer ("down BLOCK");
// or that nothing is read there ("offline"). Every archive plants secrets that begin with "hunter2",
// which no report may repeat. With -update, "want" is written anew.
func TestFaults(t *testing.T) {
	archives, err := filepath.Glob("testdata/faults/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			abs, err := filepath.Abs(path)
			if err != nil {
				t.Fatal(err)
			}
			got := faultsOf(t, archive)
			if *update {
				rewrite(t, abs, archive, got)
				return
			}
			if want := fileOf(archive, "want"); got != want {
				t.Errorf("report:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

var update = flag.Bool("update", false, "write what the reports say into testdata/faults")

func faultsOf(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	work := t.TempDir()
	env, remote := map[string]string{}, newStore()
	for _, file := range archive.Files {
		if file.Name == "want" {
			continue
		}
		name := filepath.Join(work, file.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, bytes.ReplaceAll(file.Data, []byte("$WORK"), []byte(work)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(string(archive.Comment)) {
		prepare(t, work, env, remote, strings.Fields(line))
	}
	t.Chdir(work)
	opts := Options{Env: func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}}
	if !remote.offline {
		opts.Remote = remote
	}
	_, report := Load([]string{"tokend.hcl"}, opts)
	var out strings.Builder
	if err := report.Write(&out, false, 0); err != nil {
		t.Fatal(err)
	}
	for _, diag := range report.Diagnostics {
		if strings.Contains(diag.String(), "hunter2") {
			t.Errorf("a diagnostic holds a secret: %s", diag)
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("the report holds a secret:\n%s", out.String())
	}
	return strings.ReplaceAll(out.String(), work, "$WORK")
}

func prepare(t *testing.T, work string, env map[string]string, remote *store, words []string) {
	t.Helper()
	var err error
	switch {
	case len(words) == 3 && words[0] == "mode":
		var mode fs.FileMode
		if _, err = fmt.Sscanf(words[2], "%o", &mode); err == nil {
			err = os.Chmod(filepath.Join(work, words[1]), mode)
		}
	case len(words) == 3 && words[0] == "link":
		err = os.Symlink(words[2], filepath.Join(work, words[1]))
	case len(words) == 2 && words[0] == "env":
		name, value, _ := strings.Cut(words[1], "=")
		env[name] = strings.ReplaceAll(value, "$WORK", work)
	default:
		remote.prepare(words)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func fileOf(archive *txtar.Archive, name string) string {
	for _, file := range archive.Files {
		if file.Name == name {
			return string(file.Data)
		}
	}
	return ""
}

func rewrite(t *testing.T, path string, archive *txtar.Archive, want string) {
	t.Helper()
	files := archive.Files[:0:0]
	for _, file := range archive.Files {
		if file.Name != "want" {
			files = append(files, file)
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}
