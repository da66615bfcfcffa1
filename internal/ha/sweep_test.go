package ha

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestDeadReplicasLeaveNoLeasesBehind: who comes after many have died takes its
// share at once, and one that was only cut off comes back.
func TestDeadReplicasLeaveNoLeasesBehind(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 8)
	a, b := f.start(t, "a"), f.start(t, "b")
	f.spread(t, soon, []*replica{a, b}, 4, 4)
	dead := a.newLease(memberName("tokend", "dead_x"))
	dead = a.sign(dead, time.Now())
	dead.Spec.HolderIdentity = new("dead_x")
	if _, err := cluster.Client(t).CoordinationV1().Leases(f.namespace).Create(t.Context(), dead, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b.cut.Store(true)
	await(t, soon, "only the living have a Lease of their own", func() bool {
		all := f.leases(t)
		return all[memberName("tokend", a.me)] != nil && all[memberName("tokend", b.me)] == nil && all[dead.Name] == nil
	})
	b.cut.Store(false)
	f.spread(t, soon, []*replica{a, b}, 4, 4)
	if f.leases(t)[memberName("tokend", b.me)] == nil {
		t.Error("the one that is back has no Lease of its own")
	}
}
