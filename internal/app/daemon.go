package app

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// Status describes the daemon and every token. It holds no secret.
func (a *App) Status() control.Status {
	a.relay.Pass()
	s := control.Status{Version: a.options.Version, PID: os.Getpid(), StartedAt: a.started, State: a.state}
	count, quantiles := a.stats.Quantiles(0.5, 0.9, 0.99)
	s.Delivery = control.DeliveryStats{Count: count, P50: ms(quantiles[0]), P90: ms(quantiles[1]), P99: ms(quantiles[2])}
	s.Tokens = a.refresher.Status()
	problem.Annotate(s.Tokens)
	s.HA = a.replicas.status()
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Config = control.ConfigStatus{Paths: a.options.ConfigPaths, LoadedAt: a.loadedAt, Error: a.problem, Warnings: a.warnings}
	return s
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// daemon is the App as the control socket knows it.
type daemon struct{ *App }

// Token implements control.Daemon.
func (d daemon) Token(_ context.Context, name string, minTTL time.Duration) (token.Token, error) {
	t, err := d.refresher.Current(name)
	now := time.Now()
	switch {
	case errors.Is(err, refresher.ErrStandby):
		return token.Token{}, known(err)
	case err != nil:
		return token.Token{}, fmt.Errorf("%w: %q", control.ErrUnknownToken, name)
	case !t.Valid(now):
		return token.Token{}, fmt.Errorf("token %q: %w", name, control.ErrNotReady)
	case t.ExpiresAt.Sub(now) < minTTL:
		return token.Token{}, fmt.Errorf("token %q: %w: %s are left", name, control.ErrTooShort, t.ExpiresAt.Sub(now).Round(time.Second))
	}
	return t, nil
}

// Refresh implements control.Daemon.
func (d daemon) Refresh(ctx context.Context, name string, login bool) error {
	return known(d.refresher.Refresh(ctx, name, login))
}

// Wait implements control.Daemon.
func (d daemon) Wait(ctx context.Context, names []string, minTTL time.Duration) error {
	return known(d.refresher.Wait(ctx, names, minTTL))
}

// known puts the refresher's errors into the socket's words.
func known(err error) error {
	switch {
	case errors.Is(err, refresher.ErrUnknown):
		return fmt.Errorf("%w: %w", control.ErrUnknownToken, err)
	case errors.Is(err, refresher.ErrNone), errors.Is(err, refresher.ErrStandby):
		return fmt.Errorf("%w: %w", control.ErrNotReady, err)
	}
	return err
}

// Fingerprints implements control.Daemon.
func (d daemon) Fingerprints(context.Context) (control.Fingerprints, error) {
	out := control.Fingerprints{Salt: d.salt, Tokens: map[string]map[string]string{}}
	pr := newPrinter(d.salt)
	for _, s := range d.refresher.Specs() {
		out.Tokens[s.Name] = parts(s, pr)
	}
	return out, nil
}

// parts names what a token is made of, each with its fingerprint.
func parts(s *refresher.Spec, pr *printer) map[string]string {
	p := map[string]string{partLogin: s.Binding, partRequest: hexed(s.RequestPrint), partSchedule: hexed(s.PolicyPrint)}
	if seed := s.Source.Seed(); !seed.IsEmpty() {
		p[partSeed] = hexed(pr.begin("seed").secret(seed).sum())
	}
	if s.Hook != nil {
		p[partHook] = hexed(s.HookPrint)
	}
	if s.Probe != nil {
		p[partProbe] = hexed(s.ProbePrint)
	}
	for _, sink := range s.Sinks {
		p[partSink+sink.Kind+" "+sink.Target] = hexed(sink.Fingerprint)
	}
	return p
}

func hexed(f refresher.Fingerprint) string { return hex.EncodeToString(f[:]) }
