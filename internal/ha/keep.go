package ha

import (
	"context"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// keepMember renews the replica's own Lease when it is due, and deletes it when
// the replica leaves. The lock is held.
func (g *Group) keepMember(ctx context.Context, now time.Time) {
	m := &g.member
	first := g.leavingNow() && !m.going
	if m.busy || g.absent || now.Before(m.next) && !first {
		return
	}
	m.busy, m.going = true, g.leavingNow()
	if m.going {
		g.ops.Go(func() { g.resign(ctx) })
	} else {
		g.ops.Go(func() { g.present(ctx) })
	}
}

func (g *Group) leavingNow() bool { return !g.leaving.IsZero() }

// keepHolds renews what is due and frees what is drained, with the lock held.
func (g *Group) keepHolds(ctx context.Context, now time.Time) {
	for i, h := range g.holds {
		if h == nil || h.busy {
			continue
		}
		switch {
		case h.drained && (!h.gone || !now.Before(h.next)):
			h.busy = true
			if !h.gone {
				h.gone = true
				g.tell()
			}
			g.ops.Go(func() { g.free(ctx, i, h) })
		case !h.drained && !now.Before(h.next):
			h.busy = true
			g.ops.Go(func() { g.renew(ctx, i, h) })
		}
	}
}

// giveUp begins to release a shard, with the lock held.
func (g *Group) giveUp(ctx context.Context, i int, h *hold) {
	h.going = true
	g.log.Info("giving up a Lease", "lease", g.shardName(i))
	g.tell()
	ctx, h.cancel = context.WithCancel(ctx)
	g.ops.Go(func() {
		defer h.cancel()
		if g.o.Release != nil {
			g.o.Release(ctx, i)
		}
		g.mu.Lock()
		h.drained = true
		g.mu.Unlock()
		g.wake()
	})
}

// base is the Lease that a write is made from; nil when there is none.
func (g *Group) base(name string) *coordinationv1.Lease {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if o := g.leases[name]; o != nil {
		return o.lease
	}
	return nil
}

// take takes a shard's Lease that is free.
func (g *Group) take(ctx context.Context, i int) {
	defer g.wake()
	name := g.shardName(i)
	base := g.base(name)
	if base == nil {
		base = g.newLease(name)
	}
	sent := time.Now()
	l, err := g.write(ctx, g.sign(base, sent))
	g.mu.Lock()
	defer g.mu.Unlock()
	kept := g.taking[i].kept
	g.taking[i] = taking{attempt: attempt{next: time.Now().Add(g.again())}}
	if err != nil {
		g.note(err)
		return
	}
	if l == nil { // somebody was quicker
		return
	}
	g.observe(l, time.Now())
	g.taking[i] = taking{}
	g.holds[i] = &hold{renewed: sent, taken: sent, kept: kept, attempt: attempt{next: sent.Add(g.regular())}}
	g.log.Info("took a Lease", "lease", name, "transitions", transitions(l))
	g.tell()
}

// renew renews a Lease that is held.
func (g *Group) renew(ctx context.Context, i int, h *hold) {
	defer g.wake()
	base := g.base(g.shardName(i))
	if base == nil || holderOf(base) != g.me {
		g.mu.Lock()
		defer g.mu.Unlock()
		h.busy = false
		return // the next step finds out
	}
	sent := time.Now()
	l, err := g.write(ctx, g.sign(base, sent))
	g.mu.Lock()
	defer g.mu.Unlock()
	h.attempt = attempt{next: time.Now().Add(g.again())}
	switch {
	case err != nil:
		g.note(err)
	case l != nil:
		g.observe(l, time.Now())
		h.renewed, h.next = sent, sent.Add(g.regular())
		g.problem = ""
	}
}

// free gives a Lease back.
func (g *Group) free(ctx context.Context, i int, h *hold) {
	defer g.wake()
	name := g.shardName(i)
	base := g.base(name)
	if base == nil || holderOf(base) != g.me {
		g.mu.Lock()
		defer g.mu.Unlock()
		h.busy = false
		return
	}
	l, err := g.write(ctx, free(base, time.Now()))
	g.mu.Lock()
	defer g.mu.Unlock()
	h.attempt = attempt{next: time.Now().Add(g.again())}
	if err != nil {
		g.note(err)
	}
	if l != nil {
		g.observe(l, time.Now())
		if g.holds[i] == h {
			g.holds[i] = nil
		}
		g.log.Info("gave up a Lease", "lease", name)
	}
}

// present renews the replica's own Lease.
func (g *Group) present(ctx context.Context) {
	defer g.wake()
	name := memberName(g.o.Name, g.me)
	base := g.base(name)
	if base == nil {
		base = g.newLease(name)
	}
	sent := time.Now()
	l, err := g.write(ctx, g.sign(base, sent))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.member.attempt = attempt{next: time.Now().Add(g.again())}
	switch {
	case err != nil:
		g.note(err)
	case l != nil:
		g.observe(l, time.Now())
		g.member.renewed, g.member.next = sent, sent.Add(g.regular())
		g.problem = ""
	}
}

// resign deletes the replica's own Lease.
func (g *Group) resign(ctx context.Context) {
	defer g.wake()
	ctx, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	name := memberName(g.o.Name, g.me)
	err := g.o.Client.CoordinationV1().Leases(g.o.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.member.attempt = attempt{next: time.Now().Add(g.again())}
	if err == nil || apierrors.IsNotFound(err) {
		g.absent = true
		delete(g.leases, name)
		return
	}
	g.note(kube.Explain(err, "delete", "leases", g.o.Namespace, name))
}

// regular is when a renewal is followed by the next: a little early, each at its
// own time.
func (g *Group) regular() time.Duration { return g.o.RenewEvery - rand.N(g.o.RenewEvery/10+1) }

// again is when a request that failed is repeated.
func (g *Group) again() time.Duration { return g.o.RenewEvery/10 + rand.N(g.o.RenewEvery/5+1) }
