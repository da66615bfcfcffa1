package kubernetes

import (
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// An API server answers in either form, as it likes.
func TestMetadataIsReadFromProtobufAndFromJSON(t *testing.T) {
	t.Parallel()
	m := metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "u-1", ResourceVersion: "17"}}
	object, err := m.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := (&runtime.Unknown{Raw: object}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string][]byte{"protobuf": append([]byte("k8s\x00"), envelope...), "JSON": text} {
		if got, err := readMetadata(answer); err != nil || got.UID != "u-1" || got.ResourceVersion != "17" {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for name, answer := range map[string]string{"half of it": string(append([]byte("k8s\x00"), envelope[:len(envelope)-3]...)), "half a text": string(text[:9]), "nothing": "", "a page": "<html>"} {
		if got, err := readMetadata([]byte(answer)); err == nil {
			t.Errorf("%s is read as %v", name, got)
		}
	}
}
