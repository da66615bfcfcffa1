package faults

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// row is a line of a table in docs/faults.md.
type row struct {
	line  int
	what  string
	tests []string // as "folder TestName" or "folder TestName/case"
}

// index reads the tables. Each has the tests in its last column, in backquotes.
func index(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "faults.md"))
	if err != nil {
		t.Fatal(err)
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	var rows []row
	for i, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || len(cells) < 2 || strings.HasPrefix(cells[0], "---") || strings.TrimSpace(cells[len(cells)-1]) == "shown by" {
			continue
		}
		r := row{line: i + 1, what: strings.TrimSpace(cells[0])}
		for _, m := range quoted.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			r.tests = append(r.tests, m[1])
		}
		rows = append(rows, r)
	}
	return rows
}

// sources are the tests of a folder: the text of its test files, and of what
// they inherit cases from.
func sources(t *testing.T, folder string) string {
	t.Helper()
	inherited := map[string]string{"internal/sinks/file": "internal/sinks/sinktest", "internal/state/file": "internal/state/statetest"}
	files, _ := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if contract := inherited[folder]; contract != "" {
		more, _ := filepath.Glob(filepath.Join(root, contract, "*.go"))
		files = append(files, more...)
	}
	var b strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

// script tells whether a case is a script of the folder.
func script(folder, name string) bool {
	found := false
	_ = filepath.WalkDir(filepath.Join(root, folder, "testdata"), func(path string, _ fs.DirEntry, err error) error {
		found = found || err == nil && filepath.Base(path) == name+".txtar"
		return nil
	})
	return found
}

// The list of defects and faults names tests that exist, or it is worth nothing.
func TestIndexNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	rows := index(t)
	if len(rows) < 80 {
		t.Fatalf("%d rows were read; the tables are written in another way", len(rows))
	}
	known := map[string]string{}
	for _, r := range rows {
		if len(r.tests) == 0 {
			t.Errorf("docs/faults.md:%d: no test for %q", r.line, r.what)
		}
		for _, test := range r.tests {
			folder, name, _ := strings.Cut(test, " ")
			if _, read := known[folder]; !read {
				known[folder] = sources(t, folder)
			}
			name, part, cases := strings.Cut(name, "/")
			if !regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(name) + `\(`).MatchString(known[folder]) {
				t.Errorf("docs/faults.md:%d: there is no %s in %s", r.line, name, folder)
			}
			if cases && !strings.Contains(known[folder], strconv.Quote(part)) && !strings.Contains(known[folder], "`"+part+"`") && !script(folder, part) {
				t.Errorf("docs/faults.md:%d: %s in %s has no case %q", r.line, name, folder, part)
			}
		}
	}
}

// And what is shown here is in the list.
func TestEveryTestOfThisFolderIsInTheIndex(t *testing.T) {
	t.Parallel()
	var listed []string
	for _, r := range index(t) {
		listed = append(listed, r.tests...)
	}
	for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(sources(t, "test/faults"), -1) {
		if strings.HasPrefix(m[1], "TestIndex") || strings.HasPrefix(m[1], "TestEveryTest") {
			continue
		}
		if !slices.ContainsFunc(listed, func(test string) bool { return strings.HasPrefix(test+"/", "test/faults "+m[1]+"/") }) {
			t.Errorf("docs/faults.md does not name %s", m[1])
		}
	}
}
