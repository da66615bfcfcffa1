package kube

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
)

const (
	// FieldManager is who tokend is in server-side apply.
	FieldManager = "tokend"
	// ManagedByLabel with [ManagedBy] marks the Secrets that [Secrets] watches.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "tokend"
	// AnnotationPrefix is of tokend's own annotations.
	AnnotationPrefix = "tokend/"
)

// Part is a part of a Secret that holds named fields.
type Part string

// The parts that count; a Secret's type is looked at by itself.
const (
	Data        Part = "data"
	Labels      Part = "labels"
	Annotations Part = "annotations"
)

// Digest stands for one field and its value, or for a field's name alone. It is
// the head of a SHA-256: equal fields have equal digests, and others by accident
// once in 2^64.
type Digest uint64

// Field digests a named value.
func Field(part Part, name string, value []byte) Digest {
	h := sha256.New()
	_, _ = h.Write([]byte(string(part) + "\x00" + name + "\x00"))
	_, _ = h.Write(value)
	return Digest(binary.BigEndian.Uint64(h.Sum(nil)))
}

// Name digests a field's name.
func Name(part Part, name string) Digest { return Field("name\x00"+part, name, nil) }

// Seen is what is kept of a Secret: enough to tell whether it holds certain
// fields and who wrote them, and none of its contents. The zero Seen is a Secret
// that nobody has seen. A Seen is immutable.
type Seen struct {
	// UID is empty when there is no such Secret; ResourceVersion then is one at
	// which it was missing.
	UID             string
	ResourceVersion string
	Type            corev1.SecretType
	Immutable       bool
	// Marks are tokend's own annotations, as far as tokend wrote them: what
	// another field manager has put there instead is left out.
	Marks map[string]string

	fields []Digest // sorted, as is owned
	owned  []Digest
}

// See takes down a Secret.
func See(s *corev1.Secret) Seen {
	seen := Seen{
		UID:             string(s.UID),
		ResourceVersion: s.ResourceVersion,
		Type:            s.Type,
		Immutable:       s.Immutable != nil && *s.Immutable,
		owned:           digests(Owned(s)),
	}
	seen.fields = make([]Digest, 0, len(s.Data)+len(s.Labels)+len(s.Annotations))
	for name, value := range s.Data {
		seen.fields = append(seen.fields, Field(Data, name, value))
	}
	for name, value := range s.Labels {
		seen.fields = append(seen.fields, Field(Labels, name, []byte(value)))
	}
	for name, value := range s.Annotations {
		seen.fields = append(seen.fields, Field(Annotations, name, []byte(value)))
		if len(value) <= maxMark && strings.HasPrefix(name, AnnotationPrefix) && seen.owns(Name(Annotations, name)) {
			if seen.Marks == nil {
				seen.Marks = map[string]string{}
			}
			seen.Marks[name] = strings.Clone(value)
		}
	}
	slices.Sort(seen.fields)
	return seen
}

// maxMark is well above the longest annotation that tokend writes, in bytes.
const maxMark = 64

// Exists reports whether the Secret was there.
func (s Seen) Exists() bool { return s.UID != "" }

// Holds reports whether the Secret has all these fields with these values.
func (s Seen) Holds(fields []Digest) bool {
	for _, f := range fields {
		if _, ok := slices.BinarySearch(s.fields, f); !ok {
			return false
		}
	}
	return true
}

// OwnsOnly reports whether tokend has applied no other fields than these names.
func (s Seen) OwnsOnly(names []Digest) bool {
	for _, o := range s.owned {
		if !slices.Contains(names, o) {
			return false
		}
	}
	return true
}

func (s Seen) owns(name Digest) bool {
	_, ok := slices.BinarySearch(s.owned, name)
	return ok
}

// NewerThan reports whether s was seen at a later state of the Secret than other.
// Versions of one kind of object are ordered numbers; one that is no number is
// taken for newer, so that it is looked at.
func (s Seen) NewerThan(other Seen) bool {
	if s.ResourceVersion == "" || other.ResourceVersion == "" {
		return other.ResourceVersion == "" && s.ResourceVersion != ""
	}
	order, err := resourceversion.CompareResourceVersion(s.ResourceVersion, other.ResourceVersion)
	return err != nil || order > 0
}

// Written is the Seen of a Secret that was just written with these fields.
func Written(uid, version string, kind corev1.SecretType, marks map[string]string, fields []Digest) Seen {
	return Seen{UID: uid, ResourceVersion: version, Type: kind, Marks: marks, fields: slices.Sorted(slices.Values(fields))}
}

// Owned lists the fields that tokend holds by server-side apply, by part. It
// returns nil for a Secret that tokend never applied.
func Owned(s *corev1.Secret) map[Part][]string {
	var owned map[Part][]string
	for _, m := range s.ManagedFields {
		if m.Manager != FieldManager || m.Operation != metav1.ManagedFieldsOperationApply || m.FieldsV1 == nil {
			continue
		}
		if owned == nil {
			owned = map[Part][]string{}
		}
		readFields(m.FieldsV1.GetRawBytes(), owned)
	}
	return owned
}

// readFields reads the nested sets that structured-merge-diff writes: an object
// by field, where the name of a field has the prefix "f:".
func readFields(raw []byte, owned map[Part][]string) {
	type set map[string]json.RawMessage
	var top struct {
		Data     set `json:"f:data"`
		Metadata struct {
			Labels      set `json:"f:labels"`
			Annotations set `json:"f:annotations"`
		} `json:"f:metadata"`
	}
	if json.Unmarshal(raw, &top) != nil {
		return
	}
	for part, fields := range map[Part]set{Data: top.Data, Labels: top.Metadata.Labels, Annotations: top.Metadata.Annotations} {
		for key := range fields {
			if name, ok := strings.CutPrefix(key, "f:"); ok {
				owned[part] = append(owned[part], name)
			}
		}
	}
}

func digests(owned map[Part][]string) []Digest {
	var all []Digest
	for part, names := range owned {
		for _, name := range names {
			all = append(all, Name(part, name))
		}
	}
	slices.Sort(all)
	return all
}
