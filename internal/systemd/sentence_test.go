package systemd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

func many(n int, state token.State) (all []token.Status) {
	for i := range n {
		all = append(all, token.Status{Name: fmt.Sprintf("t%d", i), State: state})
	}
	return all
}

func TestSentence(t *testing.T) {
	one := func(name string, state token.State) token.Status { return token.Status{Name: name, State: state} }
	behind := token.Status{Name: "b", State: token.StateFresh, Generation: 2, Sinks: []token.SinkStatus{
		{Kind: "file", Target: "/run/b", Generation: 1, LastError: &token.Problem{Message: "no space left"}},
		{Kind: "file", Target: "/run/c", Generation: 1}, // being written
		{Kind: "file", Target: "/run/d", Generation: 2, LastError: &token.Problem{Message: "over"}},
	}}
	for want, tokens := range map[string][]token.Status{
		"42 tokens fresh": many(42, token.StateFresh),
		"1 token fresh":   many(1, token.StateFresh),
		"42 tokens fresh, 1 retrying: rator-operator":              append(many(42, token.StateFresh), one("rator-operator", token.StateRetrying)),
		"1 retrying: a, 2 expired: b c, 1 waiting for a person: d": {one("b", token.StateExpired), one("a", token.StateRetrying), one("d", token.StateHuman), one("c", token.StateExpired)},
		"5 expired: t0 t1 t2 and 2 more":                           many(5, token.StateExpired),
		"1 token fresh, 1 sink not written: file /run/b":           {behind},
		"standing by: other replicas keep 8 tokens":                many(8, token.StateStandby),
		"1 token fresh, 2 kept by other replicas":                  append(many(2, token.StateStandby), one("a", token.StateFresh)),
		"1 not obtained yet: a, 2 kept by other replicas":          append(many(2, token.StateStandby), one("a", token.StatePending)),
		"no tokens are configured":                                 nil,
		"1 token fresh, 1 sink not written: vault_kv a?READY=1":    {{Name: "a", State: token.StateFresh, Generation: 1, Sinks: []token.SinkStatus{{Kind: "vault_kv", Target: "a\nREADY=1", LastError: &token.Problem{}}}}},
	} {
		if got := sentence(tokens, nil, true); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := sentence(nil, &token.Problem{Message: strings.Repeat("ä", 400)}, true); len(got) > longestLine || !strings.HasSuffix(got, "ä...") {
		t.Errorf("a long one ends as %q", got[len(got)-20:])
	}
}
