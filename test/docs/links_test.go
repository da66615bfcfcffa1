package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/problem"
)

// written are all documents: those of docs, and those at the root.
func written(t *testing.T) []string {
	t.Helper()
	all := pages(t)
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "manifests/README.md"} {
		all = append(all, root+"/"+name)
	}
	return all
}

// TestLinksLeadSomewhere follows the links of the documents to files of the
// repository, and to the headings in them.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, document := range written(t) {
		for _, m := range link.FindAllStringSubmatch(prose(t, document), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			name, fragment, _ := strings.Cut(m[1], "#")
			target := filepath.Join(filepath.Dir(document), name)
			if name == "" {
				target = document
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: a link leads to %s, which is not there", document, m[1])
				continue
			}
			if fragment != "" && !slices.Contains(anchors(t, target), fragment) {
				t.Errorf("%s: a link leads to %s, where no heading has that name", document, m[1])
			}
		}
	}
}

// TestPathsInTheTextAreThere looks for the files that the text names.
func TestPathsInTheTextAreThere(t *testing.T) {
	t.Parallel()
	path := regexp.MustCompile("`((?:manifests|packaging|docs|internal|cmd|test)/[A-Za-z0-9_./-]+)`")
	for _, document := range written(t) {
		for _, m := range path.FindAllStringSubmatch(prose(t, document), -1) {
			if found, _ := filepath.Glob(root + "/" + m[1]); len(found) == 0 {
				t.Errorf("%s names %s, which is not there", document, m[1])
			}
		}
	}
}

// TestEveryPageIsInTheIndex keeps a page from being written for nobody.
func TestEveryPageIsInTheIndex(t *testing.T) {
	t.Parallel()
	index := read(t, root+"/docs/README.md")
	for _, page := range pages(t) {
		if name := filepath.Base(page); name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md has no link to %s", name)
		}
	}
}

// TestEveryProblemHasItsPlaceInOperations holds the table that says what a code
// asks of a person.
func TestEveryProblemHasItsPlaceInOperations(t *testing.T) {
	t.Parallel()
	page := read(t, root+"/docs/operations.md")
	for _, group := range problem.Groups() {
		for _, entry := range group.Entries {
			if !strings.Contains(page, "](problems.md#"+entry.Code+")") {
				t.Errorf("operations.md does not say what %s asks for", entry.Code)
			}
		}
	}
}

// TestAlertsInTheTextExist looks for the alerts that the text names.
func TestAlertsInTheTextExist(t *testing.T) {
	t.Parallel()
	rules := read(t, root+"/manifests/prometheus/tokend.rules.yml")
	for _, document := range written(t) {
		for _, m := range regexp.MustCompile("`(Tokend[A-Z][A-Za-z]+)`").FindAllStringSubmatch(prose(t, document), -1) {
			if !strings.Contains(rules, "alert: "+m[1]+"\n") {
				t.Errorf("%s names the alert %s, which is not in the rules", document, m[1])
			}
		}
	}
}
