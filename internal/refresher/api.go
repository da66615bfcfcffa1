package refresher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

var (
	// ErrUnknown says that no such token is configured.
	ErrUnknown = errors.New("no such token")
	// ErrNone says that the token has no valid access token.
	ErrNone = errors.New("no valid access token")
	// ErrHuman says that only a person can obtain the next token.
	ErrHuman = errors.New("a new refresh token must be put into the configuration")
)

// absent says why a token does not run here, with the lock held.
func (r *Refresher) absent(name string) error {
	for _, s := range r.specs {
		if s.Name == name {
			return ErrStandby
		}
	}
	return ErrUnknown
}

// Current returns the current generation, valid or not, [ErrUnknown] for a name
// that is not configured, and [ErrStandby] for one that another replica keeps.
func (r *Refresher) Current(name string) (token.Token, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.entries[name]
	if e == nil {
		return token.Token{}, fmt.Errorf("%w: %q", r.absent(name), name)
	}
	return e.rec.Token, nil
}

// Refresh asks for an attempt now, a login when wantsLogin is set, and waits for
// how it ends; a person's request is not held back by the floor between two
// requests. An attempt that is on the road already is waited for instead, unless
// it is a refresh and a login is asked for: that follows at once.
func (r *Refresher) Refresh(ctx context.Context, name string, wantsLogin bool) error {
	r.mu.Lock()
	e := r.entries[name]
	if e == nil || e.retired {
		defer r.mu.Unlock()
		return fmt.Errorf("%w: %q", r.absent(name), name)
	}
	if e.needsHuman() && (wantsLogin || e.dead) {
		r.mu.Unlock()
		return fmt.Errorf("token %q: %w", name, ErrHuman)
	}
	done := make(chan error, 1)
	e.waiters = append(e.waiters, done)
	switch {
	case e.doing == login || e.doing == refresh && !wantsLogin: // joined
	case e.busy:
		e.wantLogin, e.urgent = wantsLogin || e.wantLogin, true
	default:
		e.wantLogin = e.wantLogin || wantsLogin
		if e.place == 0 {
			r.set(&e.next, r.now())
		}
	}
	r.mu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// answerWaiters tells those who asked for an attempt how it ended.
func (r *Refresher) answerWaiters(e *entry, err error) {
	if e.urgent { // they wait for the login that follows
		return
	}
	for _, w := range e.waiters {
		w <- err
	}
	e.waiters = nil
}

// ready tells whether a token has at least minTTL left and every sink of it
// holds it. The error says what is missing.
func (r *Refresher) ready(name string, minTTL time.Duration) error {
	e := r.entries[name]
	if e == nil {
		return fmt.Errorf("%w: %q", r.absent(name), name)
	}
	now := r.now()
	if !e.rec.Valid(now) || e.rec.ExpiresAt.Sub(now) < minTTL {
		return fmt.Errorf("token %q: %w", name, cmp.Or(e.lastError(), ErrNone))
	}
	for _, d := range e.deliveries {
		if d.held != holdingOf(e.rec.Token) {
			return fmt.Errorf("token %q: sink %s %s does not hold it yet%s", name, d.spec.Kind, d.spec.Target, because(d.problem))
		}
	}
	return nil
}

func because(p *token.Problem) string {
	if p == nil {
		return ""
	}
	return ": " + p.Message
}

func (e *entry) lastError() error {
	if e.problem == nil {
		return nil
	}
	return errors.New(e.problem.Message)
}

// Wait returns once each of the tokens, or all when names is empty, has at least
// minTTL left and is held by its sinks. A token with too little left is
// refreshed for it, but not again and again when no lifetime is that long. When ctx ends first, the error says what
// is missing.
func (r *Refresher) Wait(ctx context.Context, names []string, minTTL time.Duration) error {
	r.mu.Lock()
	r.watched++
	defer func() {
		r.mu.Lock()
		r.watched--
		r.mu.Unlock()
	}()
	asked := map[string]bool{}
	for {
		err := r.missing(names, minTTL, asked)
		changed := r.changed
		r.mu.Unlock()
		if err == nil || errors.Is(err, ErrUnknown) {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
		r.mu.Lock()
	}
}

// missing returns what is not ready, and asks for a refresh of tokens that are
// valid, but not for long enough.
func (r *Refresher) missing(names []string, minTTL time.Duration, asked map[string]bool) error {
	if len(names) == 0 {
		for name := range r.entries {
			names = append(names, name)
		}
		slices.Sort(names)
	}
	var errs []error
	for _, name := range names {
		err := r.ready(name, minTTL)
		if err == nil {
			continue
		}
		errs = append(errs, err)
		if e := r.entries[name]; e != nil && !e.rec.AccessToken.IsEmpty() && !e.busy && e.failures == 0 && !e.dead &&
			e.rec.ExpiresAt.Sub(r.now()) < minTTL && (!asked[name] || e.rec.Lifetime() >= minTTL) {
			asked[name] = true
			r.set(&e.next, earliest(e.next.at, latest(r.now(), e.floor)))
		}
	}
	return errors.Join(errs...)
}

// Specs returns what is configured, whoever keeps it, in no order. Neither the
// slice nor the Specs may be changed.
func (r *Refresher) Specs() []*Spec {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.specs
}

// Names returns the names of all tokens that run here, sorted.
func (r *Refresher) Names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := make([]string, 0, len(r.entries))
	for name, e := range r.entries {
		if !e.retired {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Alive returns nil once the scheduler's loop has gone round, and ctx's cause
// when it has not by then.
func (r *Refresher) Alive(ctx context.Context) error {
	round := make(chan struct{})
	select {
	case r.pings <- round:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-round:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
