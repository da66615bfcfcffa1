package app

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/token"
)

// Reload loads the configuration and puts the difference into effect. After an
// error, a [*config.Error] for one that cannot be used, the last good
// configuration runs on and status shows why. State, sockets, addresses and logs
// are taken at start alone.
func (a *App) Reload(ctx context.Context) error {
	a.reload.Lock()
	defer a.reload.Unlock()
	defer a.reporter.Reloading()()
	began, known := time.Now(), a.watching()
	before := eve{began, known, digest(known)}
	a.mu.Lock()
	a.before = before
	a.mu.Unlock()
	cfg, report := load(ctx, a.options.ConfigPaths, a.clients)
	err := report.Err()
	if err == nil {
		a.warn(report)
		a.warnFixed(cfg)
		err = a.apply(ctx, cfg, report)
	}
	if err != nil {
		a.refuse(err, report)
		return err
	}
	a.relay.Pass() // what came of it is told first
	a.logger.Info("configuration reloaded", "event", "reloaded", "tokens", len(cfg.Tokens), "took", time.Since(began))
	return nil
}

// apply builds cfg, and only when all of it could be built swaps it in.
func (a *App) apply(ctx context.Context, cfg *config.Config, report *config.Report) error {
	a.mu.Lock()
	running := a.providers
	a.mu.Unlock()
	b := builder{printer: newPrinter(a.salt), places: a.places, logger: a.logger, running: running}
	out, err := b.build(cfg)
	if err != nil {
		out.discard(running)
		return err
	}
	if err := a.refresher.Apply(ctx, out.specs, out.limits); err != nil {
		out.discard(running)
		return err
	}
	a.mu.Lock()
	a.providers, a.watch, a.remote, a.problem = out.providers, report.Watch, report.Remote, nil
	a.loadedAt, a.warnings = time.Now(), report.Warnings()
	a.mu.Unlock()
	for name, p := range running {
		if out.providers[name] != p {
			p.close()
		}
	}
	a.rewatch()
	a.clients.retain(cfg.Kubernetes, cfg.Vaults)
	// Reading a fleet's configuration takes a multiple of what is kept of it.
	debug.FreeOSMemory()
	return nil
}

// discard closes the clients that were built in vain.
func (b *built) discard(running map[string]*provider) {
	for name, p := range b.providers {
		if running[name] != p {
			p.close()
		}
	}
}

// refuse keeps the last good configuration and says why.
func (a *App) refuse(err error, report *config.Report) {
	a.mu.Lock()
	a.problem = &token.Problem{At: time.Now(), Code: "config", Message: err.Error()}
	a.watch = mergeSorted(a.watch, report.Watch)
	a.remote = report.Remote
	a.mu.Unlock()
	a.rewatch()
	a.logger.Error("configuration refused; the last good one runs on", "event", "reload_failed", "error", err)
	if bad, ok := errors.AsType[*config.Error](err); ok {
		for _, d := range bad.Report.Diagnostics {
			a.logger.Error("configuration fault", "event", "config_fault", "fault", d.String())
		}
	}
}

// fixed is what of a configuration is taken at start alone.
type fixed struct {
	state   config.State
	ha      config.HA
	control config.Control
	log     config.Log
	systemd config.Systemd
	http    config.HTTP
	metrics config.Metrics
	tracing config.Tracing
}

func fixedOf(cfg *config.Config) fixed {
	f := fixed{state: cfg.State, control: cfg.Control, log: cfg.Log, systemd: cfg.Systemd, metrics: cfg.Metrics}
	if cfg.HA != nil {
		f.ha = *cfg.HA
	}
	if cfg.HTTP != nil {
		f.http = *cfg.HTTP
	}
	if cfg.Tracing != nil {
		f.tracing = *cfg.Tracing
	}
	return f
}

// warnFixed says which changes wait for a restart.
func (a *App) warnFixed(cfg *config.Config) {
	now := fixedOf(cfg)
	for _, block := range []struct {
		name    string
		changed bool
	}{
		{"state", !reflect.DeepEqual(now.state, a.fixed.state)}, {"ha", now.ha != a.fixed.ha}, {"control", now.control != a.fixed.control},
		{"log", now.log != a.fixed.log}, {"systemd", now.systemd != a.fixed.systemd}, {"http", now.http != a.fixed.http},
		{"metrics", now.metrics != a.fixed.metrics}, {"tracing", !reflect.DeepEqual(now.tracing, a.fixed.tracing)},
	} {
		if block.changed {
			a.logger.Warn("a changed block takes effect at the next start", "event", "restart_needed", "block", block.name)
		}
	}
}

// warn logs what a good configuration is warned of.
func (a *App) warn(report *config.Report) {
	for _, d := range report.Diagnostics {
		a.logger.Warn("configuration warning", "event", "config_warning", "warning", fmt.Sprint(d))
	}
}
