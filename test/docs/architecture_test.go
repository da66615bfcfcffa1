package docs

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const architecture = root + "/ARCHITECTURE.md"

func TestArchitectureIsAPageThatSaysWhatEachPackageIsFor(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(architecture)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	if lines := strings.Count(text, "\n"); lines > 100 {
		t.Errorf("%d lines are more than a page", lines)
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}}", "./cmd/...", "./internal/...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	const module = "github.com/tokend-project/tokend/"
	for path := range strings.Lines(string(out)) {
		name := strings.TrimPrefix(strings.TrimSpace(path), module)
		if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+strings.TrimPrefix(name, "internal/")+"`") {
			t.Errorf("%s is not in the table of packages", name)
		}
	}
}
