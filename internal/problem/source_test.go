package problem_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/token"
)

// words collects the strings that become codes in the sources of a directory, by
// where they stand.
type words struct {
	found map[string]string // word → place
	files *gotoken.FileSet
}

func (w *words) add(e ast.Expr) {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == gotoken.STRING {
		if s, err := strconv.Unquote(lit.Value); err == nil && s != "" {
			w.found[s] = w.files.Position(lit.Pos()).String()
		}
	}
}

// visit knows the four ways in which a reason comes about: as a field or a
// constant, as an assignment, as an argument of failed, and returned beside an
// error by a function whose result is named so, or that hands it on.
func (w *words) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.KeyValueExpr:
		if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Reason" || key.Name == "Code") {
			w.add(n.Value)
		}
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if s, ok := left.(*ast.SelectorExpr); ok && i < len(n.Rhs) && (s.Sel.Name == "Reason" || s.Sel.Name == "Code" || s.Sel.Name == "incomplete") {
				w.add(n.Rhs[i])
			}
		}
	case *ast.CallExpr:
		for _, arg := range n.Args {
			if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "failed" || isMethod(n.Fun, "unusable") {
				w.add(arg)
			}
		}
	case *ast.ReturnStmt:
		if len(n.Results) < 2 {
			break
		}
		if last, ok := n.Results[len(n.Results)-1].(*ast.Ident); ok && strings.HasPrefix(last.Name, "err") {
			w.add(n.Results[len(n.Results)-2])
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(name.Name, "Code") && i < len(n.Values) {
				w.add(n.Values[i])
			}
		}
	}
	return true
}

func isMethod(f ast.Expr, name string) bool {
	s, ok := f.(*ast.SelectorExpr)
	return ok && s.Sel.Name == name
}

func wordsOf(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	w := &words{map[string]string{}, gotoken.NewFileSet()}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no sources in %s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(w.files, file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, w.visit)
		}
	}
	return w.found
}

func TestEveryReasonInTheSourcesIsExplained(t *testing.T) {
	t.Parallel()
	found := wordsOf(t, "endpoint", "grants", "refresher", "control", "app", "token")
	for _, must := range []string{"dial", "timeout", "read", "http_status", "missing_token", "oversize", "state", "panic", "standby", "needs_human", "config", "not_ready"} {
		if found[must] == "" {
			t.Errorf("the reason %s is not seen in the sources; do reasons come about in another way now?", must)
		}
	}
	for word, place := range found {
		if _, ok := problem.Find(word); !ok {
			t.Errorf("%s: the code %q is not explained", place, word)
		}
	}
}

// The list in the endpoint's documentation is what the rest of the program knows
// of its reasons.
func TestEveryReasonThatTheEndpointDocumentsIsExplained(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(gotoken.NewFileSet(), "../endpoint/doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	_, list, ok := strings.Cut(f.Doc.Text(), "Their Reason is one of")
	if !ok {
		t.Fatal("the list of reasons is not found")
	}
	n := 0
	for line := range strings.Lines(list) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "  ")
		if strings.HasPrefix(line, "a 2xx") {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			n++
			if _, ok := problem.Find(word); !ok {
				t.Errorf("%q is not explained", word)
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d reasons are found", n)
	}
}

func TestEveryClassIsExplained(t *testing.T) {
	t.Parallel()
	for c := token.NotSent; c.String() != ""; c++ {
		if _, ok := problem.Find(c.String()); !ok {
			t.Errorf("the class %s is not explained", c)
		}
	}
}

// An event that is logged as a warning or worse is something that a person may
// look up.
func TestEveryEventThatWarnsIsExplained(t *testing.T) {
	t.Parallel()
	kinds := constants(t, "../refresher/event.go", regexp.MustCompile(`(\w+)\s+Kind = "(\w+)"`))
	harmless := map[string]bool{
		"refreshed": true, "logged_in": true, "resumed": true, "retired": true,
		"sink_written": true, "sink_unchanged": true, "hook_ran": true,
	}
	if len(kinds) < 20 {
		t.Fatalf("only %d kinds are found", len(kinds))
	}
	for _, kind := range kinds {
		if _, ok := problem.Find(kind); !ok && !harmless[kind] {
			t.Errorf("the event %s is not explained", kind)
		}
	}
}

func TestEveryEventOfTheLogThatWarnsIsExplained(t *testing.T) {
	t.Parallel()
	kinds := constants(t, "../../docs/logs.md", regexp.MustCompile("(?m)^(\\| )`([a-z_]+)` \\| (?:warn|error) \\|"))
	if len(kinds) < 20 {
		t.Fatalf("only %d events are found", len(kinds))
	}
	for _, kind := range kinds {
		if _, ok := problem.Find(kind); !ok {
			t.Errorf("the event %s is not explained", kind)
		}
	}
}

func TestEveryStateThatNeedsOneIsExplained(t *testing.T) {
	t.Parallel()
	for _, s := range []token.State{token.StateExpired, token.StateHuman, token.StateStandby} {
		if _, ok := problem.Find(string(s)); !ok {
			t.Errorf("the state %s is not explained", s)
		}
	}
}

func constants(t *testing.T, file string, pattern *regexp.Regexp) (values []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
		values = append(values, m[2])
	}
	return values
}
