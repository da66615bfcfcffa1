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

// TestLinksLeadSomewhere follows the links of the documents at the root to
// files of the repository.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, document := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"} {
		data, err := os.ReadFile(root + "/" + document)
		if err != nil {
			t.Fatal(err)
		}
		for _, rest := range strings.Split(string(data), "](")[1:] {
			target, _, _ := strings.Cut(rest, ")")
			if strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(root + "/" + target); err != nil {
				t.Errorf("%s: a link leads to %s, which is not there", document, target)
			}
		}
	}
}
