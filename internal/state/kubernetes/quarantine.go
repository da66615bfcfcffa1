package kubernetes

import (
	"context"
	"encoding/hex"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state/fenced"
)

// Keep implements [fenced.Place]. The copy's name is the digest of what it holds,
// so that it is written once however often this is tried, and it is immutable.
func (q *requests) Keep(ctx context.Context, name string, at mark, cause error) (where string, err error) {
	o, err := q.get(ctx, secretName(q.prefix, name))
	if err != nil {
		return "", err
	}
	if o == nil || o.ResourceVersion != at.Version.resource {
		return "", fenced.ErrOvertaken
	}
	for _, part := range partsOf(o) {
		if err := q.keepPiece(ctx, part); err != nil {
			return "", err
		}
	}
	sum := sumOf(o.Data)
	where = o.Name + ".quarantine-" + hex.EncodeToString(sum[:8])
	err = q.create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:        where,
			Labels:      map[string]string{kube.ManagedByLabel: kube.ManagedBy, quarantineLabel: q.prefix},
			Annotations: map[string]string{tokenAnnotation: name, reasonAnnotation: cause.Error()},
		},
		Type: quarantineType, Data: o.Data,
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", err
	}
	return where, nil
}

// keepPiece takes a piece of a damaged record, if it is there, out of those that
// are deleted when the record is replaced.
func (q *requests) keepPiece(ctx context.Context, part string) error {
	o, err := q.get(ctx, part)
	if err != nil || o == nil {
		return err
	}
	delete(o.Labels, partLabel)
	delete(o.Labels, partOfLabel)
	o.Labels = merged(o.Labels, map[string]string{quarantineLabel: q.prefix})
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	_, err = q.secrets.Update(ctx, o, metav1.UpdateOptions{FieldManager: kube.FieldManager})
	return kube.Explain(err, "update", "secrets", q.namespace, part)
}
