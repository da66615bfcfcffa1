package kubernetes

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// WritePiece implements [fenced.Pieces].
func (q *requests) WritePiece(ctx context.Context, name, id string, piece []byte) (called string, err error) {
	called = secretName(q.prefix, name) + ".part-" + strings.ToLower(id)
	return called, q.create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:        called,
			Labels:      map[string]string{kube.ManagedByLabel: kube.ManagedBy, partLabel: q.prefix, partOfLabel: partOf(q.prefix, name)},
			Annotations: map[string]string{tokenAnnotation: name},
		},
		Type: partType, Data: map[string][]byte{partKey: piece},
	})
}

// create stores what is never written again.
func (q *requests) create(ctx context.Context, o *corev1.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	o.Namespace, o.Immutable = q.namespace, new(true)
	_, err := q.secrets.Create(ctx, o, metav1.CreateOptions{FieldManager: kube.FieldManager})
	return kube.Explain(err, "create", "secrets", q.namespace, o.Name)
}

// ReadPiece implements [fenced.Pieces].
func (q *requests) ReadPiece(ctx context.Context, _, called string) ([]byte, error) {
	o, err := q.get(ctx, called)
	if err != nil || o == nil {
		return nil, err
	}
	return append([]byte{}, o.Data[partKey]...), nil
}

// ListPieces implements [fenced.Pieces].
func (q *requests) ListPieces(ctx context.Context, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	list, err := q.secrets.List(ctx, metav1.ListOptions{LabelSelector: partLabel + "=" + q.prefix + "," + partOfLabel + "=" + partOf(q.prefix, name)})
	if err != nil {
		return nil, kube.Explain(err, "list", "secrets", q.namespace, "")
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// DeletePiece implements [fenced.Pieces].
func (q *requests) DeletePiece(ctx context.Context, _, called string) error {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	err := q.secrets.Delete(ctx, called, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return kube.Explain(err, "delete", "secrets", q.namespace, called)
}
