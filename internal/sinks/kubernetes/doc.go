// Package kubernetes keeps an access token in a Secret of Kubernetes.
//
// # What is written
//
// The Secret is written by server-side apply with the field manager tokend: its
// data keys, labels and annotations as configured, the label
// app.kubernetes.io/managed-by, and tokend's own annotations tokend/token,
// tokend/generation, tokend/issued-at and tokend/expires-at (RFC 3339, UTC). Keys,
// labels and annotations that others put there stay; a key that was taken out of
// the configuration is taken out of the Secret, for the API server knows whose it
// was.
//
// # What it costs
//
// A refresh is one PATCH. What is there is known from one shared watch a namespace
// (list and watch, see [kube.Secrets]), so that a restart reads all Secrets of a
// namespace at once, and a Secret that already holds what is to be written costs
// no request at all. Without the watch, be it that nobody called Watch or that it
// is interrupted, a GET tells. A change by somebody else that the watch has not
// reported yet costs a refused PATCH and a GET more.
//
// Of each Secret digests are kept, not contents: some hundred bytes.
//
// # What is guaranteed when two write
//
// Every PATCH is conditional on the version of the Secret that the decision was
// made on: one that exists is replaced only at that resourceVersion, and a new one
// is created only where there still is none. When the API server refuses for that
// reason (409), the Secret is read and judged anew.
//
// The judgement: what tokend wrote for the same token (its annotations count only
// as long as the field manager tokend owns them, so an edit by a person does not)
// is not replaced by an older token. Older is one whose generation is not higher
// and that was issued earlier, or whose generation is lower and that was not
// issued later. Write then fails with an error that wraps [token.ErrFenced], and
// nothing is written. Hence a process that was stopped for any time between its
// decision and its request, and wakes up to find that another has taken over, puts
// nothing back. Both orders have to agree because either can start anew for good
// reason: generations where the state was lost, the time of issue where a clock
// was set back.
//
// Not guaranteed: when a person has deleted the Secret or has rewritten tokend's
// annotations, nothing is left to tell which token is newer, and the late process
// may write once; the one that owns the token sees it as drift and puts it right.
// What this very Sink wrote itself it may replace by anything, for its caller
// knows the order.
//
// # What it takes
//
// A Role in the namespace with get, list, watch, create and patch on secrets, and
// delete for on_remove = "delete". [Sink.Check] names what is missing. An API
// server that streams lists, as those since 1.34 do, does not ask for list.
package kubernetes
