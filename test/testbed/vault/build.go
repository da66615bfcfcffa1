package vault

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tokend-project/tokend/test/testbed/internal/kept"
)

// Binary returns the path of the server's binary. The first time it takes some
// two minutes on two cores; then it is kept in the user's cache directory, under
// the hash of what it is made of. Of several processes one builds, and the
// others wait for it.
func Binary(ctx context.Context) (string, error) {
	root, err := kept.Root()
	if err != nil {
		return "", err
	}
	module := filepath.Join(root, "test", "vault")
	return kept.Binary{
		Name: "vault", Lock: "vault",
		Sources: func(sum io.Writer) error { return sources(sum, module) },
		Build:   func(ctx context.Context, target string) error { return build(ctx, module, target) },
	}.Path(ctx)
}

func build(ctx context.Context, module, target string) error {
	cmd := exec.CommandContext(ctx, "go", "-C", module, "build", "-buildvcs=false", "-o", target, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOTOOLCHAIN=local", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

// sources are all of the module's, and the compiler.
func sources(sum io.Writer, module string) error {
	_, _ = io.WriteString(sum, runtime.Version()+runtime.GOARCH) // a hash takes everything
	files := os.DirFS(module)
	return fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, path)
		if strings.HasSuffix(path, ".go") || strings.HasPrefix(d.Name(), "go.") {
			fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		}
		return err
	})
}
