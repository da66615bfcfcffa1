package refresher

import (
	"context"
	"fmt"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const probePool = "probe"

// probing asks a resource, at intervals, whether it takes the token. Its 401 is
// the documented way in which APIs ask for a new one, whatever the expiry said.
type probing struct {
	entry   *entry
	alarm   alarm
	queued  bool
	running bool
	refused int // refusals in a row
	at      time.Time
	ok      bool
	problem *token.Problem
}

func (p *probing) wake(r *Refresher, now time.Time) {
	e := p.entry
	if e.retired || e.spec.Probe == nil {
		return
	}
	r.set(&p.alarm, now.Add(e.spec.ProbeAt))
	if !p.queued && !p.running && e.rec.Valid(now) {
		p.queued = true
		r.enqueue(probePool, p)
	}
}

// begin implements job.
func (p *probing) begin(r *Refresher, now time.Time) func(ctx context.Context) {
	p.queued = false
	e := p.entry
	prober := e.spec.Probe
	if e.retired || prober == nil || e.busy || !e.rec.Valid(now) || !r.holds(e.spec.Name) {
		return nil
	}
	p.running = true
	t := e.rec.Token
	return func(ctx context.Context) {
		refused, err := prober.Check(ctx, t)
		r.judge(p, t, refused, err)
	}
}

// judge acts on a verdict. A refusal of a token that was replaced meanwhile says
// nothing about the new one; refusals in a row wait ever longer, because the
// resource may refuse for a reason that no new token mends.
func (r *Refresher) judge(p *probing, t token.Token, refused bool, err error) {
	r.mu.Lock()
	now := r.now()
	e := p.entry
	p.running, p.at = false, now
	ev := Event{Kind: ProbeFailed, At: now, Token: e.spec.Name, Provider: e.spec.Provider, Generation: t.Generation, Err: err}
	switch {
	case err != nil && !refused:
		p.problem = problemOf(err, now)
	case !refused:
		p.ok, p.problem, p.refused = true, nil, 0
		ev.Kind = ""
	default:
		ev.Kind = ProbeRefused
		p.ok = false
		p.refused++
		p.problem = &token.Problem{At: now, Class: token.Rejected.String(), Code: "probe_refused",
			Message: fmt.Sprintf("the resource answered 401 to generation %d", t.Generation)}
		if t.Generation == e.rec.Generation && !e.busy && !e.retired {
			interval := e.spec.Policy.Schedule.MinInterval
			again := e.fruitful.Add(doubled(interval, time.Hour, p.refused-1))
			r.set(&e.next, earliest(e.next.at, latest(latest(now, e.floor), again)))
		}
	}
	r.broadcast()
	r.mu.Unlock()
	if ev.Kind != "" {
		r.emit(ev)
	}
}
