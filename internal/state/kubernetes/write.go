package kubernetes

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state/fenced"
)

// Write implements [fenced.Place].
func (q *requests) Write(ctx context.Context, name string, over *origin, c fenced.Change) (entry, fenced.Outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	if c.Delete {
		outcome, err := q.remove(ctx, name, over)
		return q.entry(name, nil), outcome, err
	}
	o, verb := q.object(name, over, c), "update"
	var stored *corev1.Secret
	var err error
	if over == nil {
		verb = "create"
		stored, err = q.secrets.Create(ctx, o, metav1.CreateOptions{FieldManager: kube.FieldManager})
	} else {
		stored, err = q.secrets.Update(ctx, o, metav1.UpdateOptions{FieldManager: kube.FieldManager})
	}
	if err != nil {
		return q.entry(name, o), outcomeOf(err, over), kube.Explain(err, verb, "secrets", q.namespace, o.Name)
	}
	return q.entry(name, stored), fenced.Landed, nil
}

func (q *requests) remove(ctx context.Context, name string, over *origin) (fenced.Outcome, error) {
	if over == nil {
		return fenced.Landed, nil // the deletion of nothing, which leaves nothing
	}
	secret := secretName(q.prefix, name)
	err := q.secrets.Delete(ctx, secret, metav1.DeleteOptions{
		Preconditions: metav1.NewRVDeletionPrecondition(over.resource).Preconditions,
	})
	return outcomeOf(err, over), kube.Explain(err, "delete", "secrets", q.namespace, secret)
}

func (q *requests) object(name string, over *origin, c fenced.Change) *corev1.Secret {
	o := &corev1.Secret{Type: recordType, Data: dataOf(c)}
	if over != nil {
		o.Type = over.kind // it cannot be changed
		if over.extra != nil {
			o.ObjectMeta = *over.extra.DeepCopy()
		}
		o.ResourceVersion = over.resource
	}
	o.Name, o.Namespace = secretName(q.prefix, name), q.namespace
	o.Labels = merged(o.Labels, map[string]string{kube.ManagedByLabel: kube.ManagedBy, stateLabel: q.prefix})
	o.Annotations = merged(o.Annotations, map[string]string{tokenAnnotation: name, writeAnnotation: c.ID})
	if c.Quarantined != "" {
		o.Annotations = merged(o.Annotations, map[string]string{quarantinedAnnotation: c.Quarantined, reasonAnnotation: c.Reason})
	}
	return o
}

func dataOf(c fenced.Change) map[string][]byte {
	switch {
	case c.Quarantined != "":
		return nil
	case len(c.Pieces) > 0:
		return map[string][]byte{partsKey: []byte(strings.Join(c.Pieces, "\n"))}
	}
	return map[string][]byte{recordKey: c.Record}
}

func merged(into, from map[string]string) map[string]string {
	if into == nil {
		into = make(map[string]string, len(from))
	}
	maps.Copy(into, from)
	return into
}

// outcomeOf tells what an error, nil for none, says of a write. What is not found
// is the Secret that was to be replaced, or the namespace of one that was not.
func outcomeOf(err error, over *origin) fenced.Outcome {
	if err == nil {
		return fenced.Landed
	}
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok {
		return fenced.Lost
	}
	switch code := status.ErrStatus.Code; {
	case code == http.StatusConflict, code == http.StatusNotFound && over != nil:
		return fenced.Contested
	case code == http.StatusRequestTimeout:
		return fenced.Lost
	case code >= 400 && code < 500:
		return fenced.Refused
	}
	return fenced.Lost
}
