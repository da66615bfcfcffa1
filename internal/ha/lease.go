package ha

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/tokend-project/tokend/internal/kube"
)

const (
	groupLabel       = "tokend/ha"
	shardsAnnotation = "tokend/shards" // into how many shards the holder divides the tokens
)

var (
	subdomainPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	identityPattern  = regexp.MustCompile(`^[!-~]{1,253}$`)
)

const (
	maxName  = 253
	maxLabel = 63
)

// labelOf is the group's name where that is fit for a label's value, which its
// digest always is.
func labelOf(name string) string {
	if len(name) <= maxLabel {
		return name
	}
	return digest(name)
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

func (g *Group) shardName(shard int) string {
	if g.o.Shards == 1 {
		return g.o.Name
	}
	return g.o.Name + "-" + strconv.Itoa(shard)
}

func memberPrefix(name string) string { return name + "-member-" }

// memberName names the replica's own Lease after it, as far as that is possible.
func memberName(name, me string) string {
	legible := memberPrefix(name) + strings.ReplaceAll(strings.ToLower(me), "_", "-")
	if len(legible) <= maxName && subdomainPattern.MatchString(legible) {
		return legible
	}
	return memberPrefix(name) + digest(me)
}

func (g *Group) newLease(name string) *coordinationv1.Lease {
	return &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: g.o.Namespace}}
}

// sign makes l say that this replica holds it from now on, or still.
func (g *Group) sign(l *coordinationv1.Lease, now time.Time) *coordinationv1.Lease {
	l = l.DeepCopy()
	if l.Labels == nil {
		l.Labels = map[string]string{}
	}
	l.Labels[kube.ManagedByLabel], l.Labels[groupLabel] = kube.ManagedBy, labelOf(g.o.Name)
	if l.Annotations == nil {
		l.Annotations = map[string]string{}
	}
	l.Annotations[shardsAnnotation] = strconv.Itoa(g.o.Shards)
	if holderOf(l) != g.me {
		l.Spec.AcquireTime = &metav1.MicroTime{Time: now}
		l.Spec.LeaseTransitions = new(transitions(l) + 1)
	}
	l.Spec.HolderIdentity = new(g.me)
	l.Spec.RenewTime = &metav1.MicroTime{Time: now}
	l.Spec.LeaseDurationSeconds = new(int32((g.o.LeaseDuration + time.Second - 1) / time.Second))
	return l
}

// free makes l say that nobody holds it.
func free(l *coordinationv1.Lease, now time.Time) *coordinationv1.Lease {
	l = l.DeepCopy()
	l.Spec.HolderIdentity = new("")
	l.Spec.RenewTime = &metav1.MicroTime{Time: now}
	l.Spec.LeaseDurationSeconds = new(int32(1))
	return l
}

func holderOf(l *coordinationv1.Lease) string {
	if l == nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

func transitions(l *coordinationv1.Lease) int32 {
	if l.Spec.LeaseTransitions == nil || l.ResourceVersion == "" {
		return -1
	}
	return *l.Spec.LeaseTransitions
}

// lasts is how long a Lease is good for after it was last seen to change.
func lasts(l *coordinationv1.Lease) time.Duration {
	if l.Spec.LeaseDurationSeconds == nil {
		return 0
	}
	return time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
}

// newer reports whether resource version a comes after b. Those that cannot be
// compared are taken as they come.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err != nil || order > 0
}

// write stores l on top of its resource version, and creates it where it has
// none. A Lease of nil beside a nil error says that it is not what l was made
// from; it has been looked at again.
func (g *Group) write(ctx context.Context, l *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, g.patience())
	defer cancel()
	leases := g.o.Client.CoordinationV1().Leases(g.o.Namespace)
	verb := "update"
	var err error
	var written *coordinationv1.Lease
	if l.ResourceVersion == "" {
		verb = "create"
		written, err = leases.Create(ctx, l, metav1.CreateOptions{FieldManager: kube.FieldManager})
	} else {
		written, err = leases.Update(ctx, l, metav1.UpdateOptions{FieldManager: kube.FieldManager})
	}
	if err == nil {
		return written, nil
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || verb == "update" && apierrors.IsNotFound(err) {
		return nil, g.look(ctx, l.Name)
	}
	return nil, kube.Explain(err, verb, "leases", g.o.Namespace, l.Name)
}

// look reads one Lease that was not as the watch had told.
func (g *Group) look(ctx context.Context, name string) error {
	l, err := g.o.Client.CoordinationV1().Leases(g.o.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.leases, name)
		return nil
	case err != nil:
		return kube.Explain(err, "get", "leases", g.o.Namespace, name)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.observe(l, time.Now())
	return nil
}
