package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/token"
)

// tokend's own annotations.
const (
	noteToken      = kube.AnnotationPrefix + "token"
	noteGeneration = kube.AnnotationPrefix + "generation"
	noteIssued     = kube.AnnotationPrefix + "issued-at"
	noteExpires    = kube.AnnotationPrefix + "expires-at"
)

// content is what one generation makes of the Secret.
type content struct {
	data   map[string][]byte
	notes  map[string]string
	marks  map[string]string // the notes that are tokend's own
	fields []kube.Digest     // labels included
}

// render makes the content. A Secret holds 1 MiB at most, which is refused here
// rather than sent.
func (s *Sink) render(t token.Token) (content, error) {
	c := content{data: make(map[string][]byte, len(s.data)), marks: s.marks(t)}
	size := 0
	for key, format := range s.data {
		value, err := format.Render(t)
		if err != nil {
			return content{}, fmt.Errorf("secret %s: data key %q: %w", s.Target(), key, err)
		}
		size += len(value)
		c.data[key] = value
		c.fields = append(c.fields, kube.Field(kube.Data, key, value))
	}
	if size > corev1.MaxSecretSize {
		return content{}, fmt.Errorf("secret %s: %d bytes of data are more than the 1 MiB that a Secret holds", s.Target(), size)
	}
	c.notes = maps.Clone(s.notes)
	if c.notes == nil {
		c.notes = map[string]string{}
	}
	maps.Copy(c.notes, c.marks)
	for key, value := range c.notes {
		c.fields = append(c.fields, kube.Field(kube.Annotations, key, []byte(value)))
	}
	for key, value := range s.labels {
		c.fields = append(c.fields, kube.Field(kube.Labels, key, []byte(value)))
	}
	slices.Sort(c.fields)
	return c, nil
}

func (s *Sink) marks(t token.Token) map[string]string {
	return map[string]string{
		noteToken:      s.token,
		noteGeneration: strconv.FormatUint(t.Generation, 10),
		noteIssued:     stamp(t.IssuedAt),
		noteExpires:    stamp(t.ExpiresAt),
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// fieldNames digests the names of all that is applied, whatever the generation.
func (s *Sink) fieldNames() []kube.Digest {
	var names []kube.Digest
	for key := range s.data {
		names = append(names, kube.Name(kube.Data, key))
	}
	for key := range s.labels {
		names = append(names, kube.Name(kube.Labels, key))
	}
	for key := range s.notes {
		names = append(names, kube.Name(kube.Annotations, key))
	}
	for key := range s.marks(token.Token{}) {
		names = append(names, kube.Name(kube.Annotations, key))
	}
	return names
}

// conceal lists what no error may show: the values as they are, and as they
// travel.
func (c content) conceal() []string {
	var all []string
	for _, value := range c.data {
		if len(value) > 0 {
			all = append(all, string(value), base64.StdEncoding.EncodeToString(value))
		}
	}
	return all
}

// configuration is what server-side apply is sent.
type configuration struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Type       string            `json:"type,omitempty"`
	Data       map[string][]byte `json:"data,omitempty"`
}

type metadata struct {
	Namespace       string            `json:"namespace"`
	Name            string            `json:"name"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

func (s *Sink) configuration(c content, version string) ([]byte, error) {
	body, err := json.Marshal(configuration{
		APIVersion: "v1",
		Kind:       "Secret",
		Metadata:   metadata{Namespace: s.namespace, Name: s.name, ResourceVersion: version, Labels: s.labels, Annotations: c.notes},
		Type:       string(s.kind),
		Data:       c.data,
	})
	if err != nil {
		return nil, fmt.Errorf("secret %s: put it into JSON: %w", s.Target(), err)
	}
	return body, nil
}
