package ha

import (
	"context"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// sweep deletes the own Lease of a replica that died without deleting it, one at
// a time, with the lock held. They would pile up, and who has just come cannot
// tell them from those of replicas that are alive, and takes less than its share.
func (g *Group) sweep(ctx context.Context, now time.Time) {
	if !g.sighted || g.leavingNow() || g.sweeping.busy || now.Before(g.sweeping.next) {
		return
	}
	for name, o := range g.leases {
		if strings.HasPrefix(name, memberPrefix(g.o.Name)) && holderOf(o.lease) != g.me && now.Sub(o.at) > lasts(o.lease)+g.o.RenewEvery {
			g.sweeping.busy = true
			g.ops.Go(func() { g.bury(ctx, o.lease) })
			return
		}
	}
}

// bury deletes a Lease unless it is renewed meanwhile. Its holder makes a new one
// should it be alive after all.
func (g *Group) bury(ctx context.Context, l *coordinationv1.Lease) {
	defer g.wake()
	ctx, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	err := g.o.Client.CoordinationV1().Leases(g.o.Namespace).Delete(ctx, l.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &l.UID, ResourceVersion: &l.ResourceVersion},
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweeping = attempt{next: time.Now().Add(g.again())}
	switch {
	case err == nil || apierrors.IsNotFound(err):
		if o := g.leases[l.Name]; o != nil && o.lease == l {
			delete(g.leases, l.Name)
		}
	case !apierrors.IsConflict(err): // else the watch tells of whoever was quicker
		g.note(kube.Explain(err, "delete", "leases", g.o.Namespace, l.Name))
	}
}
