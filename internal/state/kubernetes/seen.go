package kubernetes

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// seen is what this store knows of a record's Secret, by its last write or read.
type seen struct {
	known  bool
	fenced bool    // another owner wrote; nothing is written before the next Load
	at     version // the zero version: there is no Secret
	kind   corev1.SecretType
	parts  []string // the pieces that the Secret lists
	extra  *metav1.ObjectMeta

	// open are the writes whose outcome is not known, by their ids. They can
	// land as long as the Secret is what it was when they were sent.
	open    map[string][sha256.Size]byte
	deleted bool // a deletion is among them
}

// version identifies one write of a Secret. The resourceVersion also changes
// with its labels; the id and the digest of the data don't.
type version struct {
	resource string
	uid      string
	write    string
	sum      [sha256.Size]byte
}

// verdict is what a Secret that was read means to who wanted to write it.
type verdict uint8

const (
	unchanged verdict = iota // nobody wrote since
	own                      // a write of this store, whose outcome was open, has landed
	foreign                  // another owner wrote or deleted it
)

func versionOf(o *corev1.Secret) version {
	if o == nil {
		return version{}
	}
	return version{resource: o.ResourceVersion, uid: string(o.UID), write: o.Annotations[writeAnnotation], sum: sumOf(o.Data)}
}

// judge compares what is there, nil for nothing, with what is known.
func (n *seen) judge(o *corev1.Secret) verdict {
	v := versionOf(o)
	switch {
	case o == nil && n.at == version{}, o != nil && n.at != version{} && v.write == n.at.write && v.sum == n.at.sum:
		return unchanged
	case o == nil && n.deleted:
		return own
	case o != nil:
		if sum, ok := n.open[v.write]; ok && sum == v.sum {
			return own
		}
	}
	return foreign
}

// adopt takes what is there, nil for nothing, for what the next write replaces.
func (n *seen) adopt(o *corev1.Secret) {
	n.known, n.fenced = true, false
	n.at, n.parts, n.extra, n.kind = versionOf(o), nil, nil, ""
	if o != nil {
		n.parts, n.extra, n.kind = partsOf(o), foreignMeta(o), o.Type
	}
}

// landed notes a write or deletion of ours that is known to have taken effect:
// no earlier one can any more.
func (n *seen) landed(o *corev1.Secret) {
	n.adopt(o)
	n.open, n.deleted = nil, false
}

// maxOpen is far more than there ever are: each is a Save that failed.
const maxOpen = 64

func (n *seen) leaveOpen(id string, sum [sha256.Size]byte) {
	if n.open == nil || len(n.open) >= maxOpen {
		n.open = make(map[string][sha256.Size]byte)
	}
	n.open[id] = sum
}

// sumOf is the digest of a Secret's data.
func sumOf(data map[string][]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(key))))
		h.Write([]byte(key))
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(data[key]))))
		h.Write(data[key])
	}
	return [sha256.Size]byte(h.Sum(nil))
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
