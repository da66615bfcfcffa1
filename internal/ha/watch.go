package ha

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/tokend-project/tokend/internal/kube"
)

// observed is a Lease as it was last seen.
type observed struct {
	lease *coordinationv1.Lease
	at    time.Time // when it was first seen so, by this machine's clock
}

// lapsed reports whether the Lease has run out, as far as this replica has seen.
func (o *observed) lapsed(now time.Time) bool { return now.Sub(o.at) > lasts(o.lease) }

// follow keeps the view of the group's Leases until ctx ends.
func (g *Group) follow(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := g.listAndWatch(ctx)
		if time.Since(began) > g.o.RenewEvery {
			failures = 0
		}
		if err != nil && ctx.Err() == nil {
			g.trouble(err)
		}
		// From a tenth to the whole of RenewEvery: all replicas come back from one
		// outage together.
		pause := min(g.o.RenewEvery/10<<min(failures, 4), g.o.RenewEvery)
		failures++
		sleep(ctx, pause/2+rand.N(pause/2+1))
	}
}

func (g *Group) listAndWatch(ctx context.Context) error {
	leases := g.o.Client.CoordinationV1().Leases(g.o.Namespace)
	selector := groupLabel + "=" + labelOf(g.o.Name)
	listing, cancel := context.WithTimeout(ctx, g.patience())
	list, err := leases.List(listing, metav1.ListOptions{LabelSelector: selector})
	cancel()
	if err != nil {
		return kube.Explain(err, "list", "leases", g.o.Namespace, "")
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	g.listed(list, cancel)
	defer g.blinded()
	w, err := leases.Watch(watching, metav1.ListOptions{
		LabelSelector: selector, ResourceVersion: list.ResourceVersion,
		TimeoutSeconds: new(int64(300 + rand.IntN(300))),
	})
	if err != nil {
		return kube.Explain(err, "watch", "leases", g.o.Namespace, "")
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if err := g.event(e); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) event(e watch.Event) error {
	if e.Type == watch.Error {
		return fmt.Errorf("watching the Leases: %w", kube.Explain(apierrors.FromObject(e.Object), "watch", "leases", g.o.Namespace, ""))
	}
	l, ok := e.Object.(*coordinationv1.Lease)
	if !ok {
		return nil
	}
	now := time.Now()
	g.mu.Lock()
	g.seen = now
	switch e.Type {
	case watch.Added, watch.Modified:
		g.observe(l, now)
	case watch.Deleted:
		if was := g.leases[l.Name]; was != nil && !newer(was.lease.ResourceVersion, l.ResourceVersion) {
			delete(g.leases, l.Name)
		}
	}
	g.mu.Unlock()
	g.wake()
	return nil
}

// observe notes how a Lease is, with the lock held. News may come late: what a
// request returned is often newer than the watch's next event.
func (g *Group) observe(l *coordinationv1.Lease, now time.Time) {
	was := g.leases[l.Name]
	if was != nil && was.lease.UID == l.UID && !newer(l.ResourceVersion, was.lease.ResourceVersion) {
		return
	}
	l.ManagedFields = nil
	g.leases[l.Name] = &observed{lease: l, at: now}
}

// listed replaces the view. stop ends the watch that follows.
func (g *Group) listed(list *coordinationv1.LeaseList, stop context.CancelFunc) {
	now := time.Now()
	g.mu.Lock()
	blind := g.seen.IsZero() || elapsed(g.seen, now) > g.blindAfter()
	there := make(map[string]bool, len(list.Items))
	for i := range list.Items {
		there[list.Items[i].Name] = true
		g.observe(&list.Items[i], now)
	}
	for name, o := range g.leases {
		if !there[name] && !newer(o.lease.ResourceVersion, list.ResourceVersion) {
			delete(g.leases, name)
		}
	}
	if blind {
		g.forgive(now)
	}
	g.seen, g.sighted, g.stopWatch = now, true, stop
	if g.settled.IsZero() {
		g.settled = now.Add(g.o.RenewEvery / 5)
	}
	g.mu.Unlock()
	g.wake()
}

// forgive lets everybody's time begin anew, with the lock held: this replica
// could not have seen a renewal.
func (g *Group) forgive(now time.Time) {
	for _, o := range g.leases {
		o.at = now
	}
	for i := range g.freeSince {
		g.freeSince[i] = time.Time{}
	}
}

// blindAfter is how long a view may be without news. The replica's own renewals
// are news.
func (g *Group) blindAfter() time.Duration { return 2*g.o.RenewEvery + g.patience() }

func (g *Group) blinded() {
	g.mu.Lock()
	g.sighted = false
	g.mu.Unlock()
	g.wake()
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
