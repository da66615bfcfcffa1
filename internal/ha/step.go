package ha

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// leave begins to give everything up.
func (g *Group) leave(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaving = now
}

// step looks at everything once and starts what is due. It reports whether all
// has been given up.
func (g *Group) step(ctx context.Context, now time.Time) (done bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stepped.IsZero() && elapsed(g.stepped, now) > g.blindAfter() {
		g.log.Warn("this process stood still, or its clock was set", "for", elapsed(g.stepped, now))
		g.forgive(now)
		g.lookAgain()
	}
	if elapsed(g.seen, now) > g.blindAfter() {
		g.lookAgain() // a connection that is broken may well look like one without news
	}
	g.stepped = now
	g.checkHolds(now)
	g.noteFree(now)
	g.keepMember(ctx, now)
	g.sweep(ctx, now)
	take, give := decide(g.view(now))
	for _, i := range give {
		g.giveUp(ctx, i, g.holds[i])
	}
	for _, i := range take {
		if a := &g.taking[i]; !a.busy && !now.Before(a.next) && g.sighted {
			a.busy = true
			a.kept = !g.freeSince[i].IsZero() && now.Sub(g.freeSince[i]) >= g.o.RenewEvery
			g.ops.Go(func() { g.take(ctx, i) })
		}
	}
	g.keepHolds(ctx, now)
	return g.finished(now)
}

// lookAgain gives the view up, so that a new one is listed, with the lock held.
func (g *Group) lookAgain() {
	g.sighted = false
	g.stopWatch()
}

// checkHolds drops the holds that have ended.
func (g *Group) checkHolds(now time.Time) {
	for i, h := range g.holds {
		if h == nil {
			continue
		}
		o := g.leases[g.shardName(i)]
		switch {
		case elapsed(h.renewed, now) >= g.term():
			g.lose(i, "it could not be renewed in time")
		case o == nil:
			g.lose(i, "somebody has deleted it")
		case holderOf(o.lease) != g.me:
			g.lose(i, "another has it: "+strconv.Quote(holderOf(o.lease)))
		}
	}
}

func (g *Group) lose(i int, why string) {
	h := g.holds[i]
	g.holds[i] = nil
	if h.cancel != nil {
		h.cancel()
	}
	if !h.gone {
		g.log.Warn("lost a Lease", "lease", g.shardName(i), "reason", why)
	}
	g.tell()
}

// noteFree keeps how long each shard has been free.
func (g *Group) noteFree(now time.Time) {
	for i := range g.freeSince {
		switch {
		case !g.sighted || g.holds[i] != nil || g.holder(i, now) != "":
			g.freeSince[i] = time.Time{}
		case g.freeSince[i].IsZero():
			g.freeSince[i] = now
		}
	}
}

// holder is who holds a shard's Lease, as far as is seen; "" when it is free.
// What was this replica's own stays so until another takes it.
func (g *Group) holder(i int, now time.Time) string {
	o := g.leases[g.shardName(i)]
	if o == nil || holderOf(o.lease) != g.me && o.lapsed(now) {
		return ""
	}
	return holderOf(o.lease)
}

// view gathers what a decision depends on.
func (g *Group) view(now time.Time) view {
	v := view{me: g.me, leaving: !g.leaving.IsZero(), rescue: g.o.RenewEvery, shards: make([]shardView, g.o.Shards)}
	holding := false
	for i := range v.shards {
		s := shardView{holder: g.holder(i, now), coming: g.taking[i].busy, kept: g.taking[i].kept}
		if !g.freeSince[i].IsZero() {
			s.freeFor = now.Sub(g.freeSince[i])
		}
		if h := g.holds[i]; h != nil {
			s.held, s.going = true, h.going
			s.kept = h.kept && now.Sub(h.taken) < keepFor*g.o.LeaseDuration
			holding = true
		}
		v.shards[i] = s
	}
	v.members = g.members(now)
	v.mayTake = g.sighted && !now.Before(g.settled) && (holding || !g.otherNumber(now))
	return v
}

// members are the replicas that are alive and share the same number of shards,
// sorted. Who does not renew a shard's Lease is not alive.
func (g *Group) members(now time.Time) []string {
	alive := map[string]bool{}
	for name, o := range g.leases {
		if strings.HasPrefix(name, memberPrefix(g.o.Name)) && !o.lapsed(now) && g.sameNumber(o) {
			alive[holderOf(o.lease)] = true
		}
	}
	for i := range g.holds {
		if o := g.leases[g.shardName(i)]; o != nil && o.lapsed(now) {
			delete(alive, holderOf(o.lease))
		}
	}
	delete(alive, "")
	delete(alive, g.me)
	if g.leaving.IsZero() {
		alive[g.me] = true
	}
	return slices.Sorted(maps.Keys(alive))
}

func (g *Group) sameNumber(o *observed) bool {
	return o.lease.Annotations[shardsAnnotation] == strconv.Itoa(g.o.Shards)
}

// otherNumber reports whether somebody holds a shard of another division, whose
// tokens are also in shards of this one.
func (g *Group) otherNumber(now time.Time) bool {
	for name, o := range g.leases {
		if !strings.HasPrefix(name, memberPrefix(g.o.Name)) && o.lease.Annotations[shardsAnnotation] != "" &&
			!g.sameNumber(o) && holderOf(o.lease) != "" && !o.lapsed(now) {
			return true
		}
	}
	return false
}

func (g *Group) finished(now time.Time) bool {
	if g.leaving.IsZero() || g.member.busy {
		return false
	}
	for i, h := range g.holds {
		if h != nil || g.taking[i].busy {
			return false
		}
	}
	return g.absent || elapsed(g.leaving, now) > g.o.LeaseDuration
}
