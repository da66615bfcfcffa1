package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tokend-project/tokend/test/testbed/internal/kept"
)

// tools are the Go modules' commands that a cluster needs, by the names that
// "go tool" gives them.
type tools struct {
	etcd, apiserver string
}

func buildTools(ctx context.Context) (t tools, err error) {
	if t.etcd, err = Tool(ctx, "server"); err != nil {
		return tools{}, err
	}
	t.apiserver, err = Tool(ctx, "kube-apiserver")
	return t, err
}

// Tool returns the path of a command that the module test/kubernetes names as a
// tool: server (which is etcd), kube-apiserver or kustomize. The first time, the
// API server takes some six minutes on two cores; then it is kept in the user's
// cache directory, under the hash of what it is made of. Of several processes
// one builds, and the others wait for it.
func Tool(ctx context.Context, name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "test", "kubernetes")
	return kept.Binary{
		Name: name, Lock: "kubernetes",
		Sources: func(sum io.Writer) error { return sources(sum, module) },
		Build:   func(ctx context.Context, target string) error { return build(ctx, module, name, target) },
	}.Path(ctx)
}

// sources are what names the versions of all modules, and the compiler.
func sources(sum io.Writer, module string) error {
	for _, input := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(filepath.Join(module, input))
		if err != nil {
			return err
		}
		_, _ = sum.Write(content) // a hash takes everything
	}
	_, _ = io.WriteString(sum, runtime.Version()+runtime.GOARCH)
	return nil
}

// build has the go command build a tool and print where it is. Go trims its build
// cache, so that the target is a link of our own, or a copy on another file system.
func build(ctx context.Context, module, name, target string) error {
	cmd := exec.CommandContext(ctx, "go", "-C", module, "tool", "-n", name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	built := strings.TrimSpace(string(out))
	if os.Link(built, target) == nil {
		return nil
	}
	content, err := os.ReadFile(built)
	if err != nil {
		return err
	}
	return os.WriteFile(target, content, 0o700) //nolint:gosec // it is a program
}

// Root returns the repository's root, found upwards from the working directory.
func Root() (string, error) { return kept.Root() }
