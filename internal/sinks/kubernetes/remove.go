package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokend-project/tokend/internal/kube"
)

// Remove implements [sinks.Remover]. What tokend has put into the Secret goes, and
// the Secret itself when nobody else has put anything there: no key, label,
// annotation, owner or finalizer. A Secret that tokend never wrote, or has since
// written for another token, is left alone. Nothing is removed that changed after
// it was looked at.
func (s *Sink) Remove(ctx context.Context) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s.begin()
	defer s.end()
	for range maxConflicts {
		found, at, err := s.read(ctx)
		if err != nil {
			return err
		}
		if found == nil || !s.ours(found, at) {
			s.forget()
			return nil
		}
		if err = s.take(ctx, found); apierrors.IsConflict(err) {
			continue
		}
		if err == nil || apierrors.IsNotFound(err) {
			s.forget()
			return nil
		}
		return err
	}
	return fmt.Errorf("secret %s: somebody else changes it again and again: it changed %d times while it was to be removed", s.Target(), maxConflicts)
}

// forget notes that there is nothing to hold any more. The watch may not have seen
// it go.
func (s *Sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own, s.wrote, s.held, s.doubt, s.unsure = kube.Seen{}, "", nil, nil, true
}

// ours reports whether the Secret was last written by tokend for this token. One
// that came back from a backup has lost its field managers, and is known by its
// annotation.
func (s *Sink) ours(found *corev1.Secret, at kube.Seen) bool {
	if of, ok := at.Marks[noteToken]; ok {
		return of == s.token
	}
	return kube.Owned(found) != nil || found.Annotations[noteToken] == s.token
}

// take removes the Secret, or what is ours of it.
func (s *Sink) take(ctx context.Context, found *corev1.Secret) error {
	mine := s.mine(found)
	if !foreign(found, mine) {
		err := s.client.Interface().CoreV1().Secrets(s.namespace).Delete(ctx, s.name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion},
		})
		return s.explain(ctx, err, "delete")
	}
	if found.Immutable != nil && *found.Immutable {
		return s.permits(kube.See(found))
	}
	patch, err := json.Marshal(withdrawal(found, mine))
	if err != nil {
		return fmt.Errorf("secret %s: put the removal into JSON: %w", s.Target(), err)
	}
	err = s.client.Interface().CoreV1().RESTClient().Patch(types.MergePatchType).
		Namespace(s.namespace).Resource("secrets").Name(s.name).
		Param("fieldManager", kube.FieldManager).
		SetHeader("Accept", onlyMetadata).Body(patch).Do(ctx).Error()
	return s.explain(ctx, err, "patch")
}

// mine lists the fields that are tokend's: those that it would write, and those
// that it has written under another configuration.
func (s *Sink) mine(found *corev1.Secret) map[kube.Part][]string {
	mine := map[kube.Part][]string{kube.Annotations: {noteToken, noteGeneration, noteIssued, noteExpires}}
	for key := range s.data {
		mine[kube.Data] = append(mine[kube.Data], key)
	}
	for key := range s.labels {
		mine[kube.Labels] = append(mine[kube.Labels], key)
	}
	for key := range s.notes {
		mine[kube.Annotations] = append(mine[kube.Annotations], key)
	}
	for part, names := range kube.Owned(found) {
		mine[part] = append(mine[part], names...)
	}
	return mine
}

func foreign(found *corev1.Secret, mine map[kube.Part][]string) bool {
	return len(found.OwnerReferences)+len(found.Finalizers) > 0 ||
		others(found.Data, mine[kube.Data]) || others(found.Labels, mine[kube.Labels]) || others(found.Annotations, mine[kube.Annotations])
}

func others[V any](fields map[string]V, mine []string) bool {
	for name := range fields {
		if !slices.Contains(mine, name) {
			return true
		}
	}
	return false
}

// withdrawal is a JSON merge patch (RFC 7396): a null takes a field away, whoever
// owns it by now.
func withdrawal(found *corev1.Secret, mine map[kube.Part][]string) map[string]any {
	return map[string]any{
		"data": nulls(found.Data, mine[kube.Data]),
		"metadata": map[string]any{
			"uid":             found.UID,
			"resourceVersion": found.ResourceVersion,
			"labels":          nulls(found.Labels, mine[kube.Labels]),
			"annotations":     nulls(found.Annotations, mine[kube.Annotations]),
		},
	}
}

func nulls[V any](fields map[string]V, mine []string) map[string]any {
	gone := map[string]any{}
	for _, name := range mine {
		if _, ok := fields[name]; ok {
			gone[name] = nil
		}
	}
	return gone
}
