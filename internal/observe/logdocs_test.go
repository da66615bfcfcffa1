package observe_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const logsPage = "../../docs/logs.md"

// spoken lists the values of "event" in the sources: what stands after that word
// in a call.
func spoken(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, root := range []string{"..", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(gotoken.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					names = append(names, eventOf(call)...)
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}

func eventOf(call *ast.CallExpr) []string {
	for i := 0; i+1 < len(call.Args); i++ {
		key, ok := call.Args[i].(*ast.BasicLit)
		if !ok || key.Value != `"event"` {
			continue
		}
		if value, ok := call.Args[i+1].(*ast.BasicLit); ok {
			if name, err := strconv.Unquote(value.Value); err == nil {
				return []string{name}
			}
		}
	}
	return nil
}

// TestEveryEventIsDocumented: people build alerts on these names.
func TestEveryEventIsDocumented(t *testing.T) {
	names := spoken(t)
	if len(names) < 10 {
		t.Fatalf("only %q are found in the sources", names)
	}
	for _, kind := range kinds(t) {
		names = append(names, string(kind))
	}
	slices.Sort(names)
	names = slices.Compact(names)
	page, err := os.ReadFile(logsPage)
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (?:debug|info|warn|error) \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1])
	}
	for _, name := range names {
		if !slices.Contains(documented, name) {
			t.Errorf("docs/logs.md does not know %q", name)
		}
	}
	for _, name := range documented {
		if !slices.Contains(names, name) {
			t.Errorf("docs/logs.md tells of %q, which nothing logs", name)
		}
	}
}
