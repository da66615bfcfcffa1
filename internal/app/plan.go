package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// The parts of a token, as plans and fingerprints name them.
const (
	partLogin    = "login"
	partRequest  = "request"
	partSeed     = "refresh token"
	partSchedule = "schedule"
	partHook     = "on_update"
	partProbe    = "probe"
	partSink     = "sink "
)

// PlanOptions say what to plan.
type PlanOptions struct {
	ConfigPaths []string
	Socket      string // of the running daemon; empty: as the configuration says
}

// Plan tells what a reload of the configuration would do to each token of the
// daemon that runs, or, where none does, what a start would do. It changes
// nothing. A configuration that cannot be used is a [*config.Error].
func Plan(ctx context.Context, o PlanOptions) (*control.Plan, error) {
	from := newClients(slog.New(slog.DiscardHandler))
	defer from.close()
	cfg, report := load(ctx, o.ConfigPaths, from)
	if err := report.Err(); err != nil {
		return nil, err
	}
	socket := o.Socket
	if socket == "" {
		socket = cfg.Control.Socket
	}
	client := control.NewClient(socket)
	defer client.Close()
	running, err := client.Fingerprints(ctx)
	if unreachable, ok := errors.AsType[*control.UnreachableError](err); ok && unreachable != nil {
		return planStart(ctx, cfg, from)
	}
	if err != nil {
		return nil, err
	}
	specs, err := dryBuild(cfg, running.Salt, from)
	if err != nil {
		return nil, err
	}
	status, err := client.Status(ctx)
	if err != nil {
		return nil, err
	}
	return planReload(specs, running, status), nil
}

// dryBuild builds cfg without anything that runs.
func dryBuild(cfg *config.Config, salt []byte, from *clients) ([]*refresher.Spec, error) {
	b := builder{printer: newPrinter(salt), places: &destinations{clients: from}, logger: slog.New(slog.DiscardHandler)}
	out, err := b.build(cfg)
	out.discard(nil)
	return out.specs, err
}

func planReload(specs []*refresher.Spec, running control.Fingerprints, status control.Status) *control.Plan {
	troubled := map[string]bool{}
	for _, t := range status.Tokens {
		troubled[t.Name] = t.LastError != nil || t.Generation == 0
	}
	plan := &control.Plan{Running: true}
	wanted := map[string]bool{}
	pr := newPrinter(running.Salt)
	for _, s := range specs {
		wanted[s.Name] = true
		was, ok := running.Tokens[s.Name]
		if !ok {
			plan.Changes = append(plan.Changes, control.Change{Token: s.Name, Action: control.ActionStart, Request: first(s), Details: []string{"the token is new"}})
			continue
		}
		plan.Changes = append(plan.Changes, compare(s, parts(s, pr), was, troubled[s.Name]))
	}
	for name := range running.Tokens {
		if !wanted[name] {
			plan.Changes = append(plan.Changes, control.Change{Token: name, Action: control.ActionRetire, Details: []string{"the token is no longer configured"}})
		}
	}
	sortChanges(plan)
	return plan
}

// first is the request that a token without a record starts with.
func first(s *refresher.Spec) string {
	if s.Source.Seed().IsEmpty() {
		return "login"
	}
	return "refresh"
}

func compare(s *refresher.Spec, now, was map[string]string, troubled bool) control.Change {
	c := control.Change{Token: s.Name, Action: control.ActionKeep}
	for _, name := range slices.Sorted(maps.Keys(now)) {
		old, ok := was[name]
		if ok && old == now[name] {
			continue
		}
		c.Action = control.ActionChange
		c.Details = append(c.Details, consequence(name, ok, troubled))
		if name == partLogin || name == partSeed || name == partRequest && troubled {
			c.Request = first(s)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was)) {
		if _, ok := now[name]; !ok {
			c.Action = control.ActionChange
			c.Details = append(c.Details, name+" is removed")
		}
	}
	return c
}

// consequence says in words what a changed part leads to.
func consequence(part string, existed, troubled bool) string {
	switch {
	case part == partLogin:
		return "logs in anew: endpoint, client, grant, user or scope changed"
	case part == partSeed:
		return "begins anew with the configured refresh token"
	case part == partRequest && troubled:
		return "the changed request or secret is tried at once"
	case part == partRequest:
		return "the changed request or secret applies at the next request"
	case strings.HasPrefix(part, partSink) && existed:
		return part + " is written anew from the current token"
	case strings.HasPrefix(part, partSink):
		return part + " is added and written from the current token"
	case existed:
		return part + " changes"
	default:
		return part + " is added"
	}
}

// planStart plans without a daemon, from the state it left.
func planStart(ctx context.Context, cfg *config.Config, from *clients) (*control.Plan, error) {
	specs, err := dryBuild(cfg, make([]byte, 32), from)
	if err != nil {
		return nil, err
	}
	load, done, err := stored(ctx, cfg, from)
	if err != nil {
		return nil, err
	}
	defer done()
	plan := &control.Plan{}
	now := time.Now()
	for _, s := range specs {
		rec, err := load(s.Name)
		if err != nil {
			rec = token.Record{}
		}
		c := control.Change{Token: s.Name, Action: control.ActionStart, Details: []string{situation(s, rec, now)}}
		if kind, at := refresher.First(s, rec, now); at.Sub(now) < soon {
			c.Request = kind
		}
		plan.Changes = append(plan.Changes, c)
	}
	sortChanges(plan)
	return plan, nil
}

// soon is within the time over which a start spreads what is overdue.
const soon = time.Minute

// situation says in words what a start finds of a token.
func situation(s *refresher.Spec, rec token.Record, now time.Time) string {
	switch {
	case rec.AccessToken.IsEmpty():
		return "no token is stored"
	case rec.Binding != s.Binding:
		return "the stored token belongs to another endpoint, client, grant, user or scope"
	case rec.Intent != nil:
		return "the last refresh was interrupted"
	case !rec.Valid(now):
		return "the stored token has expired"
	}
	return fmt.Sprintf("resumes generation %d, valid until %s", rec.Generation, rec.ExpiresAt.Format(time.RFC3339))
}

// stored opens the state that a daemon left, if there is one.
func stored(ctx context.Context, cfg *config.Config, from *clients) (load func(string) (token.Record, error), done func(), err error) {
	none := func(string) (token.Record, error) { return token.Record{}, token.ErrNoRecord }
	if cfg.State.Kind == "file" {
		switch _, err := os.Stat(filepath.Join(cfg.State.Dir, "tokend.db")); {
		case errors.Is(err, fs.ErrNotExist):
			return none, func() {}, nil
		case err != nil: // a state that may not be seen is no empty one
			return nil, nil, fmt.Errorf("looking for the state: %w", err)
		}
	}
	store, err := openState(ctx, &cfg.State, from, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	return func(name string) (token.Record, error) { return store.Load(ctx, name) }, func() { _ = store.Close() }, nil
}

func sortChanges(p *control.Plan) {
	slices.SortFunc(p.Changes, func(a, b control.Change) int { return strings.Compare(a.Token, b.Token) })
}
