// Package test keeps what no single package can keep: the direction in which
// tokend's packages may know each other.
package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/tokend-project/tokend/"

// anything lets the composition root import every package.
const anything = "*"

// arrows returns, for each package of the module, the packages of the module
// that it may import. Test files are free: a test may set up what it likes.
func arrows() map[string][]string {
	return map[string][]string{
		"cmd/tokend": {
			"internal/app", "internal/config", "internal/control", "internal/devserver",
			"internal/devview", "internal/loopback", "internal/problem", "internal/sinks", "internal/systemd", "internal/token",
			"internal/state/file", // an exit code of its own for a state that another daemon holds
		},
		"internal/app":              {anything},
		"internal/config":           {"internal/loopback", "internal/token"},
		"internal/control":          {"internal/token"},
		"internal/devserver":        {},
		"internal/devview":          {"internal/token"},
		"internal/endpoint":         {"internal/loopback", "internal/token"},
		"internal/grants":           {"internal/endpoint", "internal/token"},
		"internal/ha":               {"internal/kube"},
		"internal/hook":             {"internal/token"},
		"internal/kube":             {"internal/token"},
		"internal/loopback":         {},
		"internal/observe":          {"internal/problem", "internal/refresher", "internal/token"},
		"internal/probe":            {"internal/loopback", "internal/token"},
		"internal/page":             {"internal/control", "internal/problem", "internal/refresher", "internal/token"},
		"internal/problem":          {"internal/token"},
		"internal/refresher":        {"internal/token"},
		"internal/sinks":            {"internal/token"},
		"internal/sinks/file":       {"internal/sinks", "internal/token"},
		"internal/sinks/kubernetes": {"internal/kube", "internal/sinks", "internal/token"},
		"internal/sinks/sinktest":   {"internal/sinks", "internal/token"},
		"internal/sinks/vault":      {"internal/sinks", "internal/token", "internal/vault"},
		"internal/state":            {"internal/token"},
		"internal/state/file":       {"internal/state", "internal/token"},
		"internal/state/fenced":     {"internal/state", "internal/token"},
		"internal/state/kubernetes": {"internal/kube", "internal/state", "internal/state/fenced", "internal/token"},
		"internal/state/statetest":  {"internal/state", "internal/token"},
		"internal/state/vault":      {"internal/state", "internal/state/fenced", "internal/token", "internal/vault"},
		"internal/systemd":          {"internal/refresher", "internal/token"},
		"internal/token":            {},
		"internal/tracing":          {"internal/problem", "internal/refresher", "internal/token"},
		"internal/vault":            {"internal/loopback", "internal/token"},
		"packaging/sbom":            {},
	}
}

// strangers returns, for packages outside the module, the only packages of the
// module that may import them directly; a trailing slash stands for all below.
func strangers() map[string][]string {
	return map[string][]string{
		"github.com/hashicorp/hcl/":     {"internal/config"},
		"github.com/zclconf/":           {"internal/config"},
		"github.com/spf13/":             {"cmd/tokend"},
		"go.etcd.io/bbolt":              {"internal/state/file"},
		"github.com/hashicorp/vault/":   {"internal/vault"},
		"k8s.io/":                       {"internal/kube", "internal/ha", "internal/sinks/kubernetes", "internal/state/kubernetes", "internal/app"},
		"github.com/prometheus/":        {"internal/observe"},
		"go.opentelemetry.io/":          {"internal/tracing"},
		"golang.org/x/oauth2":           {},
		"github.com/coreos/go-systemd/": {"internal/systemd"},
	}
}

// forbidden returns what a package must not import directly although it is in
// the standard library: the refresher decides, and others act.
func forbidden() map[string][]string {
	return map[string][]string{
		"internal/refresher": {"net/http", "os", "net", "os/exec"},
		"internal/token":     {"net/http", "os", "net"},
	}
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func (p goPackage) name() string { return strings.TrimPrefix(p.ImportPath, module) }

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, stderr.Bytes())
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestPackagesKnowEachOtherOneWay(t *testing.T) {
	t.Parallel()
	allowed := arrows()
	for _, p := range listPackages(t) {
		if p.name() == "test" || strings.HasPrefix(p.name(), "test/") {
			continue // tests put together what they like
		}
		may, known := allowed[p.name()]
		if !known {
			t.Errorf("%s is not in the table of packages: say there what it may import, and in ARCHITECTURE.md what it is for", p.name())
			continue
		}
		for _, path := range p.Imports {
			target, ours := strings.CutPrefix(path, module)
			if ours && !slices.Contains(may, target) && !slices.Contains(may, anything) {
				t.Errorf("%s must not import %s: it may import %q", p.name(), target, may)
			}
		}
	}
}

func TestOnlyAppKnowsAConcreteSink(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		for _, path := range p.Imports {
			target := strings.TrimPrefix(path, module)
			if strings.HasPrefix(target, "internal/sinks/") && p.name() != "internal/app" {
				t.Errorf("%s must not import %s: only internal/app knows a concrete sink", p.name(), target)
			}
		}
	}
}

func TestDependenciesStayInTheirRoom(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t) {
		if strings.HasPrefix(p.name(), "test/") {
			continue
		}
		for stranger, rooms := range strangers() {
			if slices.Contains(rooms, p.name()) {
				continue
			}
			for _, path := range p.Imports {
				if strings.HasPrefix(path+"/", strings.TrimSuffix(stranger, "/")+"/") {
					t.Errorf("%s must not import %s: only %q may", p.name(), path, rooms)
				}
			}
		}
		for _, path := range forbidden()[p.name()] {
			if slices.Contains(p.Imports, path) {
				t.Errorf("%s must not import %s", p.name(), path)
			}
		}
	}
}
