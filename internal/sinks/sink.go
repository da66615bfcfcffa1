// Package sinks says what a sink is and how an access token is put into words
// for one.
//
// A sink is a place that holds the current generation of a token: a file, an
// entry of a secret store. [Sink] is all that delivery needs; whatever else a
// place can do is an optional interface beside it, asked for with a type
// assertion. The destinations live in packages of their own below this one and
// all pass the suite in sinktest.
//
// A [Format] renders a token for the place it goes to. What it writes is encoded
// for its reader, and a token that a format cannot carry safely is refused
// rather than written in a way that its reader would misunderstand.
package sinks

import (
	"context"

	"github.com/tokend-project/tokend/internal/token"
)

// Sink is a place that holds the current generation of one token.
//
// Write makes the place hold t and returns once that is as durable as the place
// can make it. It is idempotent: where the place already holds exactly what
// would be written, nothing is touched and changed is false, so that consumers
// which watch the place are not woken for nothing. Readers of the place see the
// old content or the new one, never a mixture and never nothing.
//
// A context that is done before Write starts means that nothing is written. Once
// the new content has begun to replace the old one, Write goes on to the end
// regardless of the context.
//
// Write is safe for concurrent use. Calls that overlap end with the complete
// content of one of them; whoever needs the newest to win calls one at a time.
//
// Every error leaves the old content in place and is worth another try later:
// the cause (a full disk, a missing permission) may go away by itself. Errors
// name the place and what a person can do; they never hold the token.
type Sink interface {
	Write(ctx context.Context, t token.Token) (changed bool, err error)
}

// Checker is a [Sink] that can prove, as far as that is possible without
// writing, that a Write would succeed now. It changes nothing. A nil error is no
// promise; an error is what Write would most likely have returned.
type Checker interface {
	Check(ctx context.Context) error
}

// Remover is a [Sink] that can take the token out of the place again, as
// on_remove = "delete" asks. Removing what is not there is no error.
type Remover interface {
	Remove(ctx context.Context) error
}

// Watcher is a [Sink] that notices when somebody else changes the place.
//
// After Watch, drift is called whenever the place may no longer hold what was
// last written, until stop is called. It may be called spuriously, from any
// goroutine and several at once, so it must be cheap and must not block; Write
// finds out whether anything has to be put back. It is not called for a place
// that this sink has never written. stop may be called more than once; drift may
// still be called by a notice that was under way when stop returned.
//
// Somebody who rewrites the place again and again makes for one call of drift at
// a time and at most ten a second; slower repairs than that are the caller's to
// decide, since it alone knows what a repair costs.
type Watcher interface {
	Watch(drift func()) (stop func(), err error)
}

// Stager is a [Sink] whose Write can be done in two steps, so that the slow and
// invisible one may run beside something else that has to be durable first.
//
// Stage prepares t durably without changing what readers see. publish then makes
// it visible and has the contract of Write; it may be called once. discard
// gives the preparation up, and does nothing after publish; exactly one of the
// two must be called, and both calls (defer discard) are fine.
type Stager interface {
	Stage(ctx context.Context, t token.Token) (publish func(context.Context) (changed bool, err error), discard func(), err error)
}
