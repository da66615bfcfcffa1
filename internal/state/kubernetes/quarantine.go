package kubernetes

import (
	"context"
	"encoding/hex"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/token"
)

// quarantine copies a record that cannot be read into a Secret of its own,
// empties the record's, and returns the error that Load shall return. The copy's
// name is the digest of what it holds, so that it is written once however often
// this is tried, and it is immutable.
func (s *Store) quarantine(e *entry, name string, o *corev1.Secret, cause error) error {
	ctx, cancel := s.detached()
	defer cancel()
	where, err := s.setAside(ctx, name, o, cause)
	if err != nil {
		return fmt.Errorf("putting it into quarantine: %w (%w)", err, cause)
	}
	c := s.newChange()
	c.notes = map[string]string{quarantinedAnnotation: where, reasonAnnotation: cause.Error()}
	c.sum = sumOf(nil)
	if err := s.commit(ctx, e, name, c); err != nil {
		return fmt.Errorf("putting it into quarantine: %w (%w)", err, cause)
	}
	s.log.Error("stored record is damaged and was put into quarantine; its token logs in anew",
		"token", name, "secret", where, "error", cause)
	return fmt.Errorf("%w: it was put into quarantine, in the Secret %s (%w)", token.ErrNoRecord, where, cause)
}

func (s *Store) setAside(ctx context.Context, name string, o *corev1.Secret, cause error) (where string, err error) {
	for _, part := range partsOf(o) {
		if err := s.keepPiece(ctx, part); err != nil {
			return "", err
		}
	}
	sum := sumOf(o.Data)
	where = o.Name + ".quarantine-" + hex.EncodeToString(sum[:8])
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	_, err = s.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: where, Namespace: s.namespace,
			Labels:      map[string]string{kube.ManagedByLabel: kube.ManagedBy, quarantineLabel: s.prefix},
			Annotations: map[string]string{tokenAnnotation: name, reasonAnnotation: cause.Error()},
		},
		Type: quarantineType, Immutable: new(true), Data: o.Data,
	}, metav1.CreateOptions{FieldManager: kube.FieldManager})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return "", kube.Explain(err, "create", "secrets", s.namespace, where)
	}
	return where, nil
}

// keepPiece takes a piece of a damaged record, if it is there, out of those that
// are deleted when the record is replaced.
func (s *Store) keepPiece(ctx context.Context, part string) error {
	o, err := s.getSecret(ctx, part)
	if err != nil || o == nil {
		return err
	}
	delete(o.Labels, partLabel)
	delete(o.Labels, partOfLabel)
	o.Labels = merged(o.Labels, map[string]string{quarantineLabel: s.prefix})
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	_, err = s.secrets.Update(ctx, o, metav1.UpdateOptions{FieldManager: kube.FieldManager})
	return kube.Explain(err, "update", "secrets", s.namespace, part)
}
