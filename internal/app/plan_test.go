package app

import (
	"crypto/sha256"
	"errors"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/refresher"
	statefile "github.com/tokend-project/tokend/internal/state/file"
	"github.com/tokend-project/tokend/internal/token"
)

// seeded is a token that a person gave a refresh token to.
func (h *house) seeded(name, refresh string) string {
	return strings.NewReplacer("NAME", name, "SEED", refresh).Replace(`
token "NAME" {
  provider = "as"
  grant "refresh_token" {
    refresh_token = "SEED"
  }
}`)
}

// specs builds a configuration as a plan does.
func (h *house) specs(t *testing.T, path string, salt []byte) map[string]*refresher.Spec {
	t.Helper()
	from := newClients(slog.New(slog.DiscardHandler))
	cfg, report := load(t.Context(), []string{path}, from)
	if err := report.Err(); err != nil {
		t.Fatal(err)
	}
	all, err := dryBuild(cfg, salt, from)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*refresher.Spec{}
	for _, s := range all {
		byName[s.Name] = s
	}
	return byName
}

func TestPlanOfAStartGoesByWhatIsStored(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	now := time.Now().Truncate(time.Second)
	fresh := token.Record{
		Token:        token.Token{Generation: 3, AccessToken: token.NewSecret("a"), IssuedAt: now, ExpiresAt: now.Add(time.Hour)},
		RefreshToken: token.NewSecret("r"),
	}
	until := now.Add(time.Hour).Format(time.RFC3339)
	records := map[string]func(token.Record) token.Record{
		"fresh": func(r token.Record) token.Record { return r },
		"expired": func(r token.Record) token.Record {
			r.IssuedAt, r.ExpiresAt = now.Add(-2*time.Hour), now.Add(-time.Hour)
			return r
		},
		"expired-alone": func(r token.Record) token.Record {
			r.IssuedAt, r.ExpiresAt, r.RefreshToken = now.Add(-2*time.Hour), now.Add(-time.Hour), token.Secret{}
			return r
		},
		"other-user": func(r token.Record) token.Record {
			r.Binding = "another"
			return r
		},
		"interrupted": func(r token.Record) token.Record {
			r.Intent = &token.Intent{Attempt: 1, Spent: r.RefreshToken.Sum(), Started: now}
			return r
		},
		"seeded": func(r token.Record) token.Record {
			r.Seed = sha256.Sum256([]byte("seed"))
			return r
		},
	}
	want := map[string]string{
		"fresh":         "start [] resumes generation 3, valid until " + until,
		"expired":       "start [refresh] the stored token has expired",
		"expired-alone": "start [login] the stored token has expired",
		"other-user":    "start [login] the stored token belongs to another endpoint, client, grant, user or scope",
		"interrupted":   "start [login] the last refresh was interrupted",
		"seeded":        "start [] resumes generation 3, valid until " + until,
		"new":           "start [login] no token is stored",
		"new-seeded":    "start [refresh] no token is stored",
	}
	tokens := []string{h.seeded("seeded", "seed"), h.seeded("new-seeded", "seed"), h.person("new", "")}
	for name := range records {
		if name != "seeded" {
			tokens = append(tokens, h.person(name, ""))
		}
	}
	path := h.config(t, "c.hcl", "", tokens...)

	running, got := planned(t, path)
	if running || got["fresh"] != "start [login] no token is stored" || got["seeded"] != "start [refresh] no token is stored" {
		t.Errorf("without any state: %t, %v", running, got)
	}
	if _, err := os.Stat(h.path("state")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a plan made a state directory: %v", err)
	}

	specs := h.specs(t, path, nil)
	store, err := statefile.Open(t.Context(), statefile.Options{Dir: h.path("state")})
	if err != nil {
		t.Fatal(err)
	}
	for name, vary := range records {
		r := fresh
		r.Binding = specs[name].Binding
		if err := store.Save(t.Context(), name, vary(r)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Plan(t.Context(), PlanOptions{ConfigPaths: []string{path}}); !errors.Is(err, statefile.ErrLocked) {
		t.Errorf("while another owns the state: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a plan changes nothing, so the second is the same
		if running, got = planned(t, path); running || !maps.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	if h.requests.Load() != 0 || h.read("out/fresh") != "" {
		t.Error("a plan asked the server or wrote a sink")
	}
}

// remade describes what runs, as a daemon does, and plans a change to it.
func (h *house) remade(t *testing.T, before, after string, status control.Status) map[string]string {
	t.Helper()
	salt := []byte("salt")
	running := control.Fingerprints{Salt: salt, Tokens: map[string]map[string]string{}}
	for name, s := range h.specs(t, before, salt) {
		running.Tokens[name] = parts(s, newPrinter(salt))
	}
	var wanted []*refresher.Spec
	for _, s := range h.specs(t, after, salt) {
		wanted = append(wanted, s)
	}
	plan := planReload(wanted, running, status)
	if !plan.Running {
		t.Error("the plan takes the daemon for stopped")
	}
	return planLines(t, plan)
}

func TestPlanOfAReloadSaysWhatChanges(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	healthy := control.Status{Tokens: []token.Status{{Name: "ann", Generation: 1}, {Name: "sue", Generation: 1}}}
	failing := control.Status{Tokens: []token.Status{{Name: "ann", Generation: 1, LastError: &token.Problem{}}}}
	pending := control.Status{Tokens: []token.Status{{Name: "ann"}}}
	const (
		later = "the changed request or secret applies at the next request"
		anew  = "logs in anew: endpoint, client, grant, user or scope changed"
		keep  = "keep [] "
	)
	header := "sink \"file\" {\n path = \"" + h.path("out/header") + "\"\n format = \"header\"\n }"
	sink := "sink file " + h.path("out/header")
	hook := "on_update {\n command = [\"true\"]\n }"
	probe := "probe {\n url = \"https://api.example/\"\n }"
	for name, c := range map[string]struct {
		status        control.Status
		before, after string // what stands in ann's block
		change        string // what changes outside of it
		want          string
	}{
		"nothing":                    {healthy, "", "", "", keep},
		"a comment":                  {healthy, "", "# hello", "", keep},
		"a secret":                   {healthy, "", `client_secret = "rotated"`, "", "change [] " + later},
		"a secret, while failing":    {failing, "", `client_secret = "rotated"`, "", "change [login] the changed request or secret is tried at once"},
		"a secret, before the first": {pending, "", `client_secret = "rotated"`, "", "change [login] the changed request or secret is tried at once"},
		"a client":                   {healthy, "", `client_id = "other"`, "", "change [login] " + anew + "; " + later},
		"a header":                   {healthy, "", "", "request {\n headers = { X-A = \"b\" }\n }", "change [] " + later},
		"a schedule":                 {healthy, "", "schedule {\n lead = \"1m\"\n }", "", "change [] schedule changes"},
		"a rate":                     {healthy, "", "", "limits {\n rate = 7\n }", keep},
		"a sink more":                {healthy, "", header, "", "change [] " + sink + " is added and written from the current token"},
		"a sink less":                {healthy, header, "", "", "change [] " + sink + " is removed"},
		"a sink's format":            {healthy, header, strings.Replace(header, `"header"`, `"json"`, 1), "", "change [] " + sink + " is written anew from the current token"},
		"a hook":                     {healthy, "", hook, "", "change [] on_update is added"},
		"another hook":               {healthy, hook, strings.Replace(hook, "true", "false", 1), "", "change [] on_update changes"},
		"no hook":                    {healthy, hook, "", "", "change [] on_update is removed"},
		"a probe":                    {healthy, "", probe, "", "change [] probe is added"},
		"no probe":                   {healthy, probe, "", "", "change [] probe is removed"},
		"several":                    {healthy, hook, probe, "", "change [] probe is added; on_update is removed"},
	} {
		got := h.remade(t, h.config(t, "before.hcl", "", h.person("ann", c.before)), h.config(t, "after.hcl", c.change, h.person("ann", c.after)), c.status)
		if len(got) != 1 || got["ann"] != c.want {
			t.Errorf("%s:\ngot  %v\nwant %s", name, got, c.want)
		}
	}
	two := h.config(t, "two.hcl", "", h.person("ann", ""), h.seeded("sue", "seed"))
	got := h.remade(t, two, h.config(t, "seed.hcl", "", h.person("ann", ""), h.seeded("sue", "another")), healthy)
	if want := "change [refresh] begins anew with the configured refresh token; " + later; got["sue"] != want || got["ann"] != keep {
		t.Errorf("another configured refresh token: %v", got)
	}
	got = h.remade(t, two, h.config(t, "other.hcl", "", h.person("ben", ""), h.seeded("sid", "seed")), healthy)
	if want := map[string]string{
		"ann": "retire [] the token is no longer configured", "ben": "start [login] the token is new",
		"sid": "start [refresh] the token is new", "sue": "retire [] the token is no longer configured",
	}; !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestPlanAgainstADaemonThatRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""))
	stop := h.run(t, h.open(t, path))
	if running, got := planned(t, path); !running || got["ann"] != "keep [] " {
		t.Errorf("of the same configuration: %t, %v", running, got)
	}
	changed := h.config(t, "changed.hcl", "", h.person("ann", `client_id = "other"`), h.person("ben", ""))
	running, got := planned(t, changed)
	if !running || got["ben"] != "start [login] the token is new" || !strings.HasPrefix(got["ann"], "change [login] logs in anew") {
		t.Errorf("of a changed one: %t, %v", running, got)
	}
	elsewhere, err := Plan(t.Context(), PlanOptions{ConfigPaths: []string{path}, Socket: h.path("nobody")})
	if elsewhere != nil && elsewhere.Running || !errors.Is(err, statefile.ErrLocked) {
		t.Errorf("at another socket: %v, %v", elsewhere, err)
	}
	if n := h.requests.Load(); n != 1 {
		t.Errorf("%d token requests", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if running, got := planned(t, path); running || !strings.HasPrefix(got["ann"], "start [] resumes generation 1") {
		t.Errorf("after the end: %t, %v", running, got)
	}
}

// A state that cannot be looked at holds tokens all the same: a plan that takes it
// for empty would announce logins that never come.
func TestPlanDoesNotTakeAnUnreadableStateForAnEmptyOne(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	path := h.config(t, "c.hcl", "", h.person("ann", ""))
	if err := os.Symlink("state", h.path("state")); err != nil { // a loop, which stops root as well
		t.Fatal(err)
	}
	if plan, err := Plan(t.Context(), PlanOptions{ConfigPaths: []string{path}}); err == nil || !strings.Contains(err.Error(), "looking for the state") {
		t.Errorf("%v, %v", plan, err)
	}
}

func TestPlanRefusesWhatAReloadWould(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, text := range map[string]string{"syntax": "token {{", "unknown provider": h.person("ann", "")} {
		_, err := Plan(t.Context(), PlanOptions{ConfigPaths: []string{h.write(t, "bad.hcl", text)}})
		if _, ok := errors.AsType[*config.Error](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	garbled := h.config(t, "garbled.hcl", "", h.garbled(t), h.person("ann", ""))
	if _, err := Plan(t.Context(), PlanOptions{ConfigPaths: []string{garbled}}); err == nil || !strings.Contains(err.Error(), `provider "garbled"`) {
		t.Errorf("a CA that is none: %v", err)
	}
}
