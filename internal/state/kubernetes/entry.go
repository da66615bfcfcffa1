package kubernetes

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state/fenced"
)

// origin is what a write on top of a Secret needs to know of it; nil where there
// is none.
type origin struct {
	resource string // its version
	kind     corev1.SecretType
	extra    *metav1.ObjectMeta // what others have put on it; nil for nothing
}

type (
	entry = fenced.Entry[*origin]
	mark  = fenced.Mark[*origin]
)

// Still implements [fenced.Place]. The resourceVersion also changes with a label;
// the id and the data don't.
func (*requests) Still(was, now mark) bool { return was.Write == now.Write && was.Sum == now.Sum }

// Where implements [fenced.Place].
func (q *requests) Where(name string) string { return secretName(q.prefix, name) }

// entry reads the Secret of name, nil for none.
func (q *requests) entry(name string, o *corev1.Secret) entry {
	if o == nil {
		return entry{Why: "none was saved", Gone: true}
	}
	e := entry{
		Mark: mark{
			Version: &origin{resource: o.ResourceVersion, kind: o.Type, extra: foreignMeta(o)},
			Write:   o.Annotations[writeAnnotation],
			Sum:     sumOf(o.Data),
		},
		Record: o.Data[recordKey],
		Pieces: partsOf(o),
	}
	where := o.Annotations[quarantinedAnnotation]
	switch {
	case o.Annotations[tokenAnnotation] != name:
		e.Foreign = fmt.Errorf("the Secret %s of namespace %s is no record of tokend's: delete it, or choose another prefix", o.Name, q.namespace)
	case len(o.Data) == 0 && where != "":
		e.Why = fmt.Sprintf("it was put into quarantine, in the Secret %s (%s)", where, o.Annotations[reasonAnnotation])
	}
	return e
}

// sumOf is the digest of a Secret's data.
func sumOf(data map[string][]byte) fenced.Sum {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(key))))
		h.Write([]byte(key))
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data[key]))))
		h.Write(data[key])
	}
	return fenced.Sum(h.Sum(nil))
}

func partsOf(o *corev1.Secret) []string {
	var names []string
	for line := range bytes.Lines(o.Data[partsKey]) {
		names = append(names, string(bytes.TrimSuffix(line, []byte("\n"))))
	}
	return names
}

// foreignMeta returns what others have put on the Secret, nil when that is
// nothing.
func foreignMeta(o *corev1.Secret) *metav1.ObjectMeta {
	m := metav1.ObjectMeta{OwnerReferences: o.OwnerReferences, Finalizers: o.Finalizers}
	m.Labels, m.Annotations = maps.Clone(o.Labels), maps.Clone(o.Annotations)
	for _, key := range []string{kube.ManagedByLabel, stateLabel} {
		delete(m.Labels, key)
	}
	for _, key := range []string{tokenAnnotation, writeAnnotation, quarantinedAnnotation, reasonAnnotation} {
		delete(m.Annotations, key)
	}
	if len(m.Labels)+len(m.Annotations)+len(m.OwnerReferences)+len(m.Finalizers) == 0 {
		return nil
	}
	return &m
}
