package problem_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/token"
)

var update = flag.Bool("update", false, "write docs/problems.md anew")

const page = "../../docs/problems.md"

func TestDocumentationIsCurrent(t *testing.T) {
	t.Parallel()
	want := problem.Markdown()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("docs/problems.md is not what the table says (%v); run go test ./internal/problem -update", err)
	}
}

func TestEveryEntryIsWhole(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`^[a-z][a-z0-9_]{2,39}$`)
	seen := map[string]bool{}
	titles := map[string]string{}
	for _, g := range problem.Groups() {
		for _, e := range g.Entries {
			for _, code := range append([]string{e.Code}, e.Also...) {
				if !word.MatchString(code) || seen[code] {
					t.Errorf("the code %q is odd or there twice", code)
				}
				seen[code] = true
				if found, ok := problem.Find(code); !ok || found.Code != e.Code {
					t.Errorf("%s is not found", code)
				}
			}
			if e.Title == "" || strings.HasSuffix(e.Title, ".") || len(e.Title) > 75 || titles[e.Title] != "" {
				t.Errorf("%s: the title %q is no short sentence of its own", e.Code, e.Title)
			}
			titles[e.Title] = e.Code
			for _, text := range []string{e.Cause, e.Remedy} {
				if !strings.HasSuffix(text, ".") {
					t.Errorf("%s: %q is no whole sentence", e.Code, text)
				}
			}
		}
	}
	for _, word := range []string{"", "Dial", "no_such_code"} {
		if _, ok := problem.Find(word); ok {
			t.Errorf("%q is found", word)
		}
	}
}

// Servers have error codes of their own; what is shown must be explained all the
// same, and what the refresher holds must not be written to.
func TestAnnotateGivesEveryProblemACodeThatIsExplained(t *testing.T) {
	t.Parallel()
	own := &token.Problem{Class: "rejected", Code: "ERR-4711", Message: "refused: ERR-4711"}
	known := &token.Problem{Class: "not_sent", Code: "dial"}
	s := []token.Status{
		{
			Name: "a", LastError: own,
			Sinks: []token.SinkStatus{
				{Kind: "file", LastError: &token.Problem{}}, {Kind: "vault_kv", LastError: &token.Problem{}},
				{Kind: "kubernetes_secret", LastError: &token.Problem{}}, {Kind: "novel", LastError: &token.Problem{}}, {Kind: "file"},
			},
			Hook:  &token.HookStatus{LastError: &token.Problem{}},
			Probe: &token.ProbeStatus{LastError: &token.Problem{Code: "probe_refused"}},
		},
		{Name: "b", LastError: known, Hook: &token.HookStatus{}, Probe: &token.ProbeStatus{LastError: &token.Problem{}}},
		{Name: "c", LastError: &token.Problem{Code: "odd"}},
		{Name: "d"},
	}
	sinks, hook := s[0].Sinks, s[0].Hook
	problem.Annotate(s)
	if s[3].Sinks != nil {
		t.Error("sinks were made up")
	}
	if sinks[0].LastError.Code != "" || hook.LastError.Code != "" {
		t.Error("sinks or a hook that others read were written to")
	}
	for what, c := range map[string]struct {
		p    *token.Problem
		want string
	}{
		"a code of the server's own": {s[0].LastError, "oauth_error"},
		"a file":                     {s[0].Sinks[0].LastError, "sink_file"},
		"Vault":                      {s[0].Sinks[1].LastError, "sink_vault_kv"},
		"Kubernetes":                 {s[0].Sinks[2].LastError, "sink_kubernetes_secret"},
		"a sink that nobody knows":   {s[0].Sinks[3].LastError, "sink_failed"},
		"a hook":                     {s[0].Hook.LastError, "hook_failed"},
		"a probe that was refused":   {s[0].Probe.LastError, "probe_refused"},
		"a known code":               {s[1].LastError, "dial"},
		"a probe":                    {s[1].Probe.LastError, "probe_failed"},
		"a code without a class":     {s[2].LastError, "attempt_failed"},
	} {
		if c.p.Code != c.want {
			t.Errorf("%s is called %q, not %q", what, c.p.Code, c.want)
		}
	}
	if own.Code != "ERR-4711" || s[0].LastError.Message != own.Message {
		t.Error("a problem that others read was written to, or lost its words")
	}
	if s[1].LastError != known {
		t.Error("a problem that has its code already was copied")
	}
	if s[0].Sinks[4].LastError != nil || s[3].LastError != nil {
		t.Error("a problem was made up")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"invalid_grants": "invalid_grant", "invalidgrant": "invalid_grant", "timout": "timeout", "sink-file": "sink_file",
		"dial": "dial", "DIAL": "", "quux": "", "": "", "invalid_clinet": "invalid_client",
	} {
		if got := problem.Nearest(word); got != want {
			t.Errorf("%q resembles %q, not %q", word, got, want)
		}
	}
}
