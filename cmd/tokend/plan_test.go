package main

import (
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/control"
)

func TestPlanShowsWhatChanges(t *testing.T) {
	plan := &control.Plan{Running: true, Changes: []control.Change{
		{Token: "a", Action: control.ActionKeep},
		{Token: "b", Action: control.ActionChange, Details: []string{"sinks: /run/b is new"}},
		{Token: "c", Action: control.ActionStart, Request: "login"},
		{Token: "d", Action: control.ActionRetire},
	}}
	want := strings.TrimPrefix(`
          TOKEN  REQUEST
~ change  b      none
  sinks: /run/b is new
+ start   c      login
- retire  d      none

1 to start, 1 to change, 1 to retire, 1 to keep; 1 token request
`, "\n")
	var b strings.Builder
	if err := showPlan(&b, plan, style{}); err != nil || b.String() != want {
		t.Errorf("plan (%v):\n%s\nwant:\n%s", err, b.String(), want)
	}
}

func TestPlanWithoutDaemonOrTokens(t *testing.T) {
	var b strings.Builder
	if err := showPlan(&b, &control.Plan{}, style{}); err != nil {
		t.Fatal(err)
	}
	want := "no daemon is running: this is what a start would do\n\nno token is configured; 0 token requests\n"
	if b.String() != want {
		t.Errorf("plan:\n%s\nwant:\n%s", b.String(), want)
	}
}
