package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/grants"
	"github.com/tokend-project/tokend/internal/hook"
	"github.com/tokend-project/tokend/internal/probe"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// built is a configuration turned into parts that are ready to run. It keeps
// nothing of the configuration itself.
type built struct {
	specs     []*refresher.Spec
	limits    map[string]refresher.Limits
	providers map[string]*provider
}

// builder turns one configuration into parts.
type builder struct {
	printer  *printer
	places   *destinations
	logger   *slog.Logger
	running  map[string]*provider
	out      *built
	policies map[refresher.Fingerprint]*refresher.Policy
}

// build constructs everything that cfg describes and starts nothing. All faults
// are reported at once.
func (b *builder) build(cfg *config.Config) (*built, error) {
	b.out = &built{limits: map[string]refresher.Limits{}, providers: map[string]*provider{}}
	b.policies = map[refresher.Fingerprint]*refresher.Policy{}
	var errs []error
	for _, p := range cfg.Providers {
		built, err := newProvider(p, b.printer, b.running)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.out.providers[p.Name] = built
		b.out.limits[p.Name] = refresher.Limits(p.Limits)
	}
	for _, t := range cfg.Tokens {
		if b.out.providers[t.Provider.Name] == nil {
			continue
		}
		spec, err := b.spec(t)
		if err != nil {
			errs = append(errs, fmt.Errorf("token %q: %w", t.Name, err))
			continue
		}
		b.out.specs = append(b.out.specs, spec)
	}
	return b.out, errors.Join(errs...)
}

func (b *builder) spec(t *config.Token) (*refresher.Spec, error) {
	grant, err := grants.New(t.Grant.Kind, t.Grant.Params, t.Grant.Scope)
	if err != nil {
		return nil, err
	}
	policy, planned, err := b.policy(t)
	if err != nil {
		return nil, err
	}
	prov := b.out.providers[t.Provider.Name]
	s := &refresher.Spec{
		Name: t.Name, Provider: t.Provider.Name, Grant: t.Grant.Kind, Binding: binding(t),
		Source: grants.NewSource(prov.client, t.ClientID, t.ClientSecret, grant),
		Policy: policy, PolicyPrint: planned,
	}
	if err := b.attach(s, t); err != nil {
		return nil, err
	}
	for _, sink := range t.Sinks {
		spec, err := b.places.sink(t.Name, sink, b.printer)
		if err != nil {
			return nil, err
		}
		s.Sinks = append(s.Sinks, spec)
	}
	b.fingerprint(s, t, prov)
	return s, nil
}

// attach builds what acts on a token without being a sink of it.
func (b *builder) attach(s *refresher.Spec, t *config.Token) error {
	if u := t.OnUpdate; u != nil {
		c, err := hook.New(u.Command, u.Timeout, b.logger)
		if err != nil {
			return err
		}
		s.Hook = command{c}
	}
	if p := t.Probe; p != nil {
		checker, err := probe.New(probe.Options{URL: p.URL, Method: p.Method, Headers: p.Headers, Timeout: p.Timeout,
			AllowInsecureHTTP: p.AllowInsecureHTTP, Transport: b.out.providers[t.Provider.Name].probes})
		if err != nil {
			return err
		}
		s.Probe, s.ProbeAt = resource{checker}, p.Every
	}
	return nil
}

// policy shares equal policies: a fleet has one.
func (b *builder) policy(t *config.Token) (*refresher.Policy, refresher.Fingerprint, error) {
	s, p := t.Schedule, t.Provider
	print := b.printer.begin("policy").dur(p.Timeout, p.RefreshTokens.Grace, s.Lead, s.MinInterval, propagation(t)).
		any([2]float64{s.RefreshAt, s.Jitter}).any(p.RefreshTokens.Use).any(s.Cron).any(s.LoginCron).sum()
	if shared := b.policies[print]; shared != nil {
		return shared, print, nil
	}
	made := &refresher.Policy{
		Timeout: p.Timeout, UseRefresh: p.RefreshTokens.Use, Grace: p.RefreshTokens.Grace,
		Schedule: refresher.Schedule{RefreshAt: s.RefreshAt, Jitter: s.Jitter, Lead: s.Lead, MinInterval: s.MinInterval},
	}
	var err error
	if made.Schedule.Cron, err = schedules(s.Cron); err != nil {
		return nil, print, err
	}
	if made.Schedule.LoginCron, err = schedules(s.LoginCron); err != nil {
		return nil, print, err
	}
	b.policies[print] = made
	return made, print, nil
}

// propagation is how long the slowest sink of a token takes to reach its readers,
// which counts into the lead.
func propagation(t *config.Token) (longest time.Duration) {
	for _, s := range t.Sinks {
		longest = max(longest, s.Propagation)
	}
	return longest
}

func schedules(specs []string) ([]cron.Schedule, error) {
	var out []cron.Schedule
	for _, spec := range specs {
		s, err := cron.ParseStandard(spec)
		if err != nil {
			return nil, fmt.Errorf("reading cron schedule %q: %w", spec, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// fingerprint says what the parts of a token are made of, for a reload to
// compare.
func (b *builder) fingerprint(s *refresher.Spec, t *config.Token, prov *provider) {
	s.RequestPrint = b.printer.begin("request").str(string(prov.print[:]), t.ClientID).secret(t.ClientSecret).secrets(t.Grant.Params).sum()
	if u := t.OnUpdate; u != nil {
		s.HookPrint = b.printer.begin("hook").str(u.Command...).dur(u.Timeout).sum()
	}
	if q := t.Probe; q != nil {
		s.ProbePrint = b.printer.begin("probe").str(q.URL, q.Method).secrets(q.Headers).
			dur(q.Every, q.Timeout).any(q.AllowInsecureHTTP).sum()
	}
}

// command lets the refresher run a hook.
type command struct{ *hook.Command }

// Run implements refresher.Hook.
func (c command) Run(ctx context.Context, u refresher.Update) error {
	return c.Command.Run(ctx, hook.Update{Token: u.Token, SinkPaths: u.Targets, ExpiresAt: u.ExpiresAt, Generation: u.Generation, Conceal: u.Conceal})
}

// resource lets the refresher ask a probe.
type resource struct{ *probe.Probe }

// Check implements refresher.Prober.
func (p resource) Check(ctx context.Context, t token.Token) (refused bool, err error) {
	verdict, err := p.Probe.Check(ctx, t)
	return verdict == probe.Refused, err
}
