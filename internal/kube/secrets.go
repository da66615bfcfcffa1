package kube

import (
	"context"
)

// Secrets is the one watch on the Secrets of a namespace that carry the label
// [ManagedByLabel] with the value [ManagedBy] and are no record of a state. All who ask a [Client] for the same
// namespace share it. It runs while somebody has subscribed.
//
// A Secret whose label was taken away looks deleted; whoever writes it finds out.
// The watch needs the verbs list and watch on secrets in the namespace.
type Secrets struct{ source source }

// delivered selects what sinks have written. The records of a state in the same
// namespace are tokend's too; they change twice as often, and nobody asks for them.
const delivered = ManagedByLabel + "=" + ManagedBy + ",!tokend/state,!tokend/state-part,!tokend/state-quarantine"

// Secrets returns the watch on a namespace. It does not start it.
func (c *Client) Secrets(namespace string) *Secrets {
	return &Secrets{source{client: c, filter: filter{namespace: namespace, labels: delivered}}}
}

// Subscribe calls changed after each change of the Secret, until stop is called,
// and once all are known after a start or an interruption. changed runs on the
// watch's own goroutine, so it must be quick and must not block; it may call Get.
// The first subscription starts the watch, the last stop ends it. stop may be
// called more than once and from anywhere; a call of changed that is under way
// is not waited for.
func (s *Secrets) Subscribe(name string, changed func()) (stop func()) {
	return s.source.subscribe(name, changed)
}

// Get returns what was last seen of a Secret that was subscribed to. current is
// false while that may be out of date, because the watch has not started yet, is
// interrupted or is not permitted; seen then is the last that was known, the zero
// Seen at worst. Even what is current may lag behind by what the network takes.
func (s *Secrets) Get(name string) (seen Seen, current bool) { return s.source.get(name) }

// Wait returns once the watch has seen all, once its first attempt has failed, or
// when ctx is done, whichever is first. Without a subscription it returns at
// once.
func (s *Secrets) Wait(ctx context.Context) { s.source.wait(ctx) }

// Err is why the watch is interrupted, as [Explain] puts it; nil while it runs,
// and before its first attempt.
func (s *Secrets) Err() error { return s.source.err() }
