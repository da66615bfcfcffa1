package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

const (
	pieceSize = corev1.MaxSecretSize / 2 // half: annotations and their growth count into what etcd takes
	maxPieces = 16                       // far above any token endpoint's answer

	partOfLabel = "tokend/state-part-of" // on pieces: see partOf
)

// cut fills in the data of c with value, in pieces that it writes where value is
// large. It returns the names of the pieces that are garbage once c has landed.
func (s *Store) cut(ctx context.Context, e *entry, name string, value []byte, c *change) (replaced []string, err error) {
	if len(value) > maxPieces*pieceSize {
		return nil, fmt.Errorf("%d bytes are too many for Secrets", len(value))
	}
	large := len(value) > pieceSize
	if large || len(e.parts) > 0 {
		if replaced, err = s.pieces(ctx, e, name); err != nil {
			return nil, err
		}
	}
	c.data = map[string][]byte{recordKey: value}
	if large {
		names, err := s.writePieces(ctx, name, value, c.id)
		if err != nil {
			s.drop(ctx, name, names)
			return nil, err
		}
		c.data = map[string][]byte{partsKey: []byte(strings.Join(names, "\n"))}
	}
	c.sum = sumOf(c.data)
	return replaced, nil
}

func (s *Store) writePieces(ctx context.Context, name string, value []byte, id string) (names []string, err error) {
	for piece := range slices.Chunk(value, pieceSize) {
		part := fmt.Sprintf("%s.part-%s-%d", secretName(s.prefix, name), strings.ToLower(id), len(names))
		names = append(names, part)
		if err := s.writePiece(ctx, name, part, piece); err != nil {
			return names, err
		}
	}
	return names, nil
}

func (s *Store) writePiece(ctx context.Context, name, part string, piece []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	_, err := s.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: part, Namespace: s.namespace,
			Labels:      map[string]string{kube.ManagedByLabel: kube.ManagedBy, partLabel: s.prefix, partOfLabel: partOf(s.prefix, name)},
			Annotations: map[string]string{tokenAnnotation: name},
		},
		Type: partType, Immutable: new(true), Data: map[string][]byte{partKey: piece},
	}, metav1.CreateOptions{FieldManager: kube.FieldManager})
	return kube.Explain(err, "create", "secrets", s.namespace, part)
}

// pieces lists the pieces of name's record, and those that a process left which
// did not live to commit them. Once a write on top of what e knows has landed,
// nobody can commit anything that refers to one of them.
func (s *Store) pieces(ctx context.Context, e *entry, name string) ([]string, error) {
	if len(e.parts) == 0 && (e.at == version{}) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	list, err := s.secrets.List(ctx, metav1.ListOptions{LabelSelector: partLabel + "=" + s.prefix + "," + partOfLabel + "=" + partOf(s.prefix, name)})
	if err != nil {
		return nil, kube.Explain(err, "list", "secrets", s.namespace, "")
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names, nil
}

// drop deletes pieces that nothing refers to. One that stays is found at the next
// large record.
func (s *Store) drop(ctx context.Context, name string, parts []string) {
	for _, part := range parts {
		err := s.secrets.Delete(ctx, part, metav1.DeleteOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			s.log.Warn("a piece of a replaced record could not be deleted", "token", name, "secret", part,
				"error", kube.Explain(err, "delete", "secrets", s.namespace, part))
		}
	}
}
