// Package kube is tokend's client of the Kubernetes API: how an API server is
// found and spoken to, what its errors mean in plain words, and one shared watch
// for all the Secrets that tokend keeps in a namespace.
//
// A [Client] is made of client-go. What differs from its defaults:
//
//   - A 429 or a 5xx with Retry-After is an error that says how long to wait, not
//     a call that sleeps and repeats up to ten times (see [Error.RetryAfter]). So
//     is a connection that breaks. One call is one request.
//   - The proxy variables of the environment are not looked at; a kubeconfig's
//     proxy-url is.
//   - Plain http goes to loopback only.
//   - Nothing is printed: what client-go logs goes to the given logger, at debug.
//
// [Secrets] keeps of each Secret that it watches a few hundred bytes and none of
// its contents: see [Seen].
package kube
