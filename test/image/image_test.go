package image

import (
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tokend-project/tokend/test/testbed/image"
)

// workshop holds what is made once and used by many tests.
type workshop struct {
	authority *authority
	image     func() (*image.Image, error)
}

var shop workshop

func TestMain(m *testing.M) {
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokend-image-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	shop.image = sync.OnceValues(func() (*image.Image, error) { return buildImage(dir) })
	if shop.authority, err = newAuthority(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		return 1
	}
	return m.Run()
}

// buildImage builds the image where the builder has one authority alone.
func buildImage(dir string) (*image.Image, error) {
	if err := os.Chmod(dir, 0o755); err != nil { // an unprivileged user passes through
		return nil, err
	}
	bundle := filepath.Join(dir, "bundle.pem")
	if err := os.WriteFile(bundle, shop.authority.pem, 0o600); err != nil {
		return nil, err
	}
	return image.Build(context.Background(), image.Options{Source: "../..", Work: dir, Bundle: bundle})
}

func built(t *testing.T) *image.Image {
	t.Helper()
	made, err := shop.image()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestBinaryNeedsNothingButTheKernel(t *testing.T) {
	t.Parallel()
	file, err := elf.Open(filepath.Join(built(t).Root, "tokend"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v: it is not static", p.Type)
		}
	}
	if file.Section(".symtab") != nil || file.Section(".debug_info") != nil {
		t.Error("the binary holds symbols")
	}
}

func TestImageHoldsTheBinaryAuthoritiesAndTwoDirectoriesOfItsUser(t *testing.T) {
	t.Parallel()
	image.NeedRoot(t) // for the owners
	made := built(t)
	var got []string
	err := filepath.WalkDir(made.Root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || path == made.Root {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		got = append(got, fmt.Sprintf("%v %d:%d %s", info.Mode(), owner.Uid, owner.Gid, strings.TrimPrefix(path, made.Root)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-rwxr-xr-x 0:0 /tokend",
		"-rw-r--r-- 0:0 /etc/ssl/certs/ca-certificates.crt",
		"drwx------ 65532:65532 /run/tokend",
		"drwx------ 65532:65532 /var/lib/tokend",
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("there is no %s", line)
		}
	}
	files := slices.DeleteFunc(slices.Clone(got), func(line string) bool { return line[0] == 'd' })
	if len(files) != 2 {
		t.Errorf("there are more files than two: %q", files)
	}
	if made.UID != 65532 || made.GID != 65532 || !slices.Equal(made.Entrypoint, []string{"/tokend"}) {
		t.Errorf("it runs %q as %d:%d", made.Entrypoint, made.UID, made.GID)
	}
}

// TestSourcesMakeTheSameBytesAnywhere fails where a path gets into the binary.
func TestSourcesMakeTheSameBytesAnywhere(t *testing.T) {
	t.Parallel()
	var sums []string
	for _, name := range []string{"a", "elsewhere/and/longer"} {
		source, work := filepath.Join(t.TempDir(), name), t.TempDir()
		copySources(t, source)
		made, err := image.Build(t.Context(), image.Options{Source: source, Work: work})
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(made.Root, "tokend"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), source) {
			t.Error("the binary holds the path of its sources")
		}
		sum := sha256.Sum256(content)
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds differ: %q", sums)
	}
}

func copySources(t *testing.T, to string) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "-co", "--exclude-standard",
		"go.mod", "go.sum", "Dockerfile", "cmd", "internal")
	list.Dir = "../.."
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list the sources: %v", err)
	}
	for _, name := range strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }) {
		content, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // removed, and git does not know yet
		}
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
