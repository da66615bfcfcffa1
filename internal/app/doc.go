// Package app is tokend's composition root: it turns a configuration into
// running parts, and a changed configuration into the difference.
//
// Everything that can fail in a reload (reading, evaluating, validating,
// building clients and sinks) is done before anything that runs is touched.
// What did not change is left alone: a provider whose settings are the same
// keeps its client and connections, a token its schedule, a sink its state.
//
// It is the one package that knows all others; the visible list of what sinks
// there are is in sinks.go.
package app
