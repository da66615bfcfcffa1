// Package token holds the words that every other package of tokend shares: a
// [Secret] that will not print, a [Token] as sinks receive it, the [Answer] of
// one token request, the [Failure] that classifies a request without one, the
// [Record] that survives a restart, and the [Status] that a person reads.
//
// The package has no behaviour beyond its values: nothing here reads a clock, a
// file or a network. It imports none of tokend's packages, and all of them may
// import it.
package token
