package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// store is what the reflector fills. It keeps a Seen of each Secret, and tells
// those who subscribed.
type store struct{ *watched }

var _ cache.TransformingStore = store{}

// entry is a Seen under its name, as client-go wants to see it while it lists.
type entry struct {
	metav1.ObjectMeta

	seen Seen
}

// Transformer drops the contents of a Secret as soon as it was read.
func (store) Transformer() cache.TransformFunc {
	return func(o any) (any, error) {
		s, ok := o.(*corev1.Secret)
		if !ok {
			return o, nil
		}
		return enter(s), nil
	}
}

func enter(s *corev1.Secret) *entry {
	return &entry{metav1.ObjectMeta{Name: s.Name, Namespace: s.Namespace, ResourceVersion: s.ResourceVersion}, See(s)}
}

func (s store) Add(o any) error { return s.put(o) }

func (s store) Update(o any) error { return s.put(o) }

func (s store) put(o any) error {
	e, err := read(o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.seen[e.Name] = e.seen
	s.tell(s.subscribers(e.Name))
	return nil
}

// Delete notes at which version the Secret went.
func (s store) Delete(o any) error {
	e, err := read(o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.seen, e.Name)
	if len(s.subs[e.Name]) > 0 {
		s.seen[e.Name] = Seen{ResourceVersion: e.ResourceVersion}
	}
	s.tell(s.subscribers(e.Name))
	return nil
}

// Replace takes over a complete list.
func (s store) Replace(all []any, version string) error {
	seen := make(map[string]Seen, len(all))
	for _, o := range all {
		e, err := read(o)
		if err != nil {
			return err
		}
		seen[e.Name] = e.seen
	}
	s.mu.Lock()
	s.seen, s.listed = seen, version
	if !s.streams { // a watch follows, or fails
		s.mu.Unlock()
		return nil
	}
	s.tell(s.current())
	return nil
}

// Resync implements [cache.ReflectorStore]; there is nothing to do again.
func (store) Resync() error { return nil }

// tell lets the lock go and calls.
func (w *watched) tell(calls []func()) {
	w.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

func read(o any) (*entry, error) {
	switch o := o.(type) {
	case *entry:
		return o, nil
	case *corev1.Secret:
		return enter(o), nil
	}
	return nil, fmt.Errorf("the API server sent a %T instead of a Secret", o)
}

// subscribers lists whom to call, with the lock held.
func (w *watched) subscribers(name string) []func() {
	calls := make([]func(), 0, len(w.subs[name]))
	for call := range w.subs[name] {
		calls = append(calls, *call)
	}
	return calls
}

func (w *watched) add(name string, call *func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.subs[name] == nil {
		w.subs[name] = map[*func()]struct{}{}
	}
	w.subs[name][call] = struct{}{}
}

// drop forgets a subscriber, and the tombstone that was kept for it.
func (w *watched) drop(name string, call *func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.subs[name], call)
	if len(w.subs[name]) > 0 {
		return
	}
	delete(w.subs, name)
	if !w.seen[name].Exists() {
		delete(w.seen, name)
	}
}
