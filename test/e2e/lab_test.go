package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// laboratory holds what is built once and used by many tests.
type laboratory struct {
	tokend  func() (string, error) // path of the daemon's binary
	hydra   func() (string, error) // path of Hydra's binary
	oidc    func() (string, error) // directory that holds oidc-provider's node_modules
	dir     string                 // for what lives as long as the tests
	seed    hydraSeed
	reports reports
}

var lab laboratory

func TestMain(m *testing.M) {
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	bin, err := os.MkdirTemp("", "tokend-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(bin)
	lab.dir = bin
	lab.tokend = sync.OnceValues(func() (string, error) { return tokend.Build("../..", bin) })
	lab.hydra = sync.OnceValues(buildHydra)
	lab.oidc = sync.OnceValues(installOIDC)
	code := m.Run()
	lab.reports.print(os.Stdout)
	return code
}

// buildHydra takes about five minutes on two cores the first time.
func buildHydra() (string, error) {
	source, err := filepath.Abs("../hydra")
	if err != nil {
		return "", err
	}
	return cached("hydra", []string{"../hydra/go.sum", "../hydra/main.go"}, func(target string) error {
		return run(source, "go", "build", "-tags", "sqlite,json1", "-o", target, ".")
	})
}

func installOIDC() (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", errors.New("oidc-provider is installed with npm, which is not there: install Node.js 20 or later with npm")
	}
	return cached("oidc-provider", []string{"../oidc/package-lock.json"}, func(target string) error {
		if err := os.Mkdir(target, 0o700); err != nil {
			return err
		}
		for _, name := range []string{"package.json", "package-lock.json"} {
			if err := copyFile(filepath.Join("../oidc", name), filepath.Join(target, name)); err != nil {
				return err
			}
		}
		return run(target, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	})
}

// cached returns a path in the user's cache directory that is named after the
// content of inputs. Where it does not exist yet, create makes it under another
// name, so that what is found is always complete.
func cached(name string, inputs []string, create func(target string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w", err)
	}
	sum := sha256.New()
	for _, input := range inputs {
		content, err := os.ReadFile(input)
		if err != nil {
			return "", err
		}
		sum.Write(content)
	}
	path := filepath.Join(cache, "tokend-test", name+"-"+hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer os.RemoveAll(fresh)
	if err := create(fresh); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	if err := os.Rename(fresh, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return path, nil
}

func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, output.Bytes())
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// must unwraps what a test cannot go on without: must(f())(t).
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
