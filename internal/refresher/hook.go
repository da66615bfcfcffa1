package refresher

import (
	"context"
	"slices"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	hookPool       = "hook"
	hookRetryFirst = time.Second
	hookRetryLast  = 5 * time.Minute
)

// hookRun is a token's hook: like a sink it has one slot and retries of its own,
// and nothing waits for it.
type hookRun struct {
	entry    *entry
	wanted   bool // a sink changed since it last ran
	queued   bool
	running  bool
	again    bool
	shown    []token.Secret // the access tokens of the sinks while it runs
	failures int
	ran      uint64 // the generation it last ran for, with success
	at       time.Time
	problem  *token.Problem
	retry    alarm
}

// notify asks for a run, with the lock held.
func (r *Refresher) notify(h *hookRun) {
	switch {
	case h.entry.spec.Hook == nil || h.queued:
	case h.running:
		h.again = true
		h.shown = append(h.shown, h.entry.rec.AccessToken)
	default:
		h.queued = true
		r.enqueue(hookPool, h)
	}
}

func (h *hookRun) wake(r *Refresher, _ time.Time) { r.notify(h) }

// begin implements job.
func (h *hookRun) begin(r *Refresher, _ time.Time) func(ctx context.Context) {
	h.queued = false
	e := h.entry
	hook := e.spec.Hook
	switch {
	case hook == nil || e.retired:
		return nil
	case !r.holds(e.spec.Name):
		r.set(&h.retry, r.now().Add(standbyFor))
		return nil
	}
	h.running = true
	h.shown = []token.Secret{e.rec.AccessToken}
	r.alarms.clear(&h.retry)
	u := Update{Token: e.spec.Name, ExpiresAt: e.rec.ExpiresAt, Generation: e.rec.Generation,
		Conceal: func() []token.Secret { return r.shown(h) }}
	for _, d := range e.deliveries {
		if d.held.generation == u.Generation {
			u.Targets = append(u.Targets, d.spec.Target)
		}
	}
	return func(ctx context.Context) {
		// The command has a timeout of its own, which may be longer than a sink's.
		err := hook.Run(context.WithoutCancel(ctx), u)
		r.notified(h, u, err)
	}
}

// shown returns the access tokens that the sinks have held while the hook runs.
func (r *Refresher) shown(h *hookRun) []token.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(slices.Clone(h.shown), h.entry.rec.AccessToken)
}

// notified notes how the hook went. A generation whose hook has run is recorded,
// so that a restart neither forgets a hook nor runs one for nothing.
func (r *Refresher) notified(h *hookRun, u Update, err error) {
	r.mu.Lock()
	now := r.now()
	e := h.entry
	h.running, h.shown, h.at = false, nil, now
	ev := Event{Kind: HookRan, At: now, Token: u.Token, Provider: e.spec.Provider, Generation: u.Generation, Err: err}
	if err != nil {
		ev.Kind = HookFailed
		h.failures++
		h.problem = problemOf(err, now)
		wait := doubled(hookRetryFirst, hookRetryLast, h.failures-1)
		r.set(&h.retry, now.Add(wait))
	} else {
		h.failures, h.problem, h.ran = 0, nil, u.Generation
	}
	if h.again {
		h.again = false
		r.notify(h)
	}
	save := err == nil && !e.busy && e.rec.Notified < u.Generation
	e.rec.Notified = max(e.rec.Notified, h.ran)
	if save {
		e.unsaved = true
	}
	r.mu.Unlock()
	if save {
		r.saveAgain(e)
	}
	r.emit(ev)
}
