package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
)

// Options describe one Secret.
type Options struct {
	Client    *kube.Client
	Namespace string // empty stands for the client's
	Name      string
	Token     string // name of the token, which goes into an annotation
	Type      string // empty stands for Opaque

	Data        map[string]sinks.Format // at least one key
	Labels      map[string]string
	Annotations map[string]string
}

// Sink keeps the current generation of a token in a Secret. It implements
// [sinks.Sink], [sinks.Checker], [sinks.Watcher] and [sinks.Remover].
//
// Its errors are, or wrap, a [*kube.Error], which tells how long the API server
// asks to wait, except for what is refused before a request is made. A refusal to
// put an older token back wraps [token.ErrFenced].
type Sink struct {
	client    *kube.Client
	secrets   *kube.Secrets
	namespace string
	name      string
	token     string
	kind      corev1.SecretType
	data      map[string]sinks.Format
	labels    map[string]string
	notes     map[string]string // the configured annotations
	names     []kube.Digest     // of all fields that are applied

	turn chan struct{} // holds one while the Secret is judged and written

	mu       sync.Mutex
	busy     bool          // a Write or Remove is under way
	watching int           // calls of Watch that have not been stopped
	own      kube.Seen     // the Secret as this Sink wrote or read it last
	wrote    string        // the version that this Sink wrote last
	held     []kube.Digest // the fields that it has to hold; nil before the first Write
	unsure   bool          // what is known, by the watch too, may be older than what was done
	doubt    []kube.Digest // what a PATCH without an answer was to write; nil when there is none
	drifts   map[*notifier]struct{}
}

var (
	_ sinks.Sink    = (*Sink)(nil)
	_ sinks.Checker = (*Sink)(nil)
	_ sinks.Remover = (*Sink)(nil)
	_ sinks.Watcher = (*Sink)(nil)
)

// New makes a sink, without a request. It reports every fault of the options.
func New(o Options) (*Sink, error) {
	if o.Client == nil {
		return nil, errors.New("a Secret needs a client")
	}
	if o.Namespace == "" {
		o.Namespace = o.Client.Namespace()
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	s := &Sink{
		client:    o.Client,
		secrets:   o.Client.Secrets(o.Namespace),
		namespace: o.Namespace,
		name:      o.Name,
		token:     o.Token,
		kind:      corev1.SecretType(o.Type),
		data:      maps.Clone(o.Data),
		labels:    map[string]string{kube.ManagedByLabel: kube.ManagedBy},
		notes:     maps.Clone(o.Annotations),
		turn:      make(chan struct{}, 1),
		drifts:    map[*notifier]struct{}{},
	}
	maps.Copy(s.labels, o.Labels)
	if s.kind == "" {
		s.kind = corev1.SecretTypeOpaque
	}
	s.names = s.fieldNames()
	return s, nil
}

// Target is the namespace and name, with a slash between them.
func (s *Sink) Target() string { return s.namespace + "/" + s.name }

// enter waits for the turn of a Write, a Check or a Remove.
func (s *Sink) enter(ctx context.Context) (leave func(), err error) {
	if ctx.Err() != nil { // with a free turn, select would choose at random
		return nil, s.ended(ctx)
	}
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, s.ended(ctx)
	}
}

func (s *Sink) ended(ctx context.Context) error {
	return fmt.Errorf("secret %s: %w", s.Target(), context.Cause(ctx))
}

func (o Options) validate() error {
	var faults []error
	fault := func(what string, problems []string) {
		if len(problems) > 0 {
			faults = append(faults, fmt.Errorf("%s: %s", what, strings.Join(problems, "; ")))
		}
	}
	fault(fmt.Sprintf("namespace %q", o.Namespace), validation.IsDNS1123Label(o.Namespace))
	fault(fmt.Sprintf("name %q", o.Name), validation.IsDNS1123Subdomain(o.Name))
	if len(o.Data) == 0 {
		faults = append(faults, errors.New("data: a Secret needs at least one key"))
	}
	for _, key := range slices.Sorted(maps.Keys(o.Data)) {
		fault(fmt.Sprintf("data key %q", key), validation.IsConfigMapKey(key))
		if o.Data[key] == nil {
			faults = append(faults, fmt.Errorf("data key %q has no format", key))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Labels)) {
		fault(fmt.Sprintf("label %q", key), append(validation.IsQualifiedName(key), validation.IsValidLabelValue(o.Labels[key])...))
		if key == kube.ManagedByLabel && o.Labels[key] != kube.ManagedBy {
			faults = append(faults, fmt.Errorf("label %q: it is tokend's own, for its watch finds Secrets by it", key))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Annotations)) {
		fault(fmt.Sprintf("annotation %q", key), validation.IsQualifiedName(strings.ToLower(key)))
		if strings.HasPrefix(key, kube.AnnotationPrefix) {
			faults = append(faults, fmt.Errorf("annotation %q: names with %s are tokend's own", key, kube.AnnotationPrefix))
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("secret %s/%s: %w", o.Namespace, o.Name, errors.Join(faults...))
}
