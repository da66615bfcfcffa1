package vault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What a request may fail with, for [errors.Is]. One [*Error] may be several of
// them: a login that the server was too busy for is ErrLogin and ErrThrottled.
var (
	// ErrNotFound: nothing is stored at the path, in a mount that exists.
	ErrNotFound = errors.New("nothing is stored there")
	// ErrNoMount: no secrets engine is mounted where one was expected. It comes with
	// ErrDenied where the server won't tell a mount that is absent from one that the
	// token may not touch.
	ErrNoMount = errors.New("no secrets engine is mounted there")
	// ErrVersion: the mount is no KV engine of the version that the call needs.
	ErrVersion = errors.New("the mount is no KV engine of this version")
	// ErrCAS: the stored version is not the one that the write named. Nothing was written.
	ErrCAS = errors.New("the stored version is another one")
	// ErrDenied: the server refuses the request to this token, after the token was replaced where that was possible.
	ErrDenied = errors.New("permission denied")
	// ErrLogin: there is no token to send the request with. The request was not sent.
	ErrLogin = errors.New("not logged in")
	// ErrWrapping: a wrapping token can't be unwrapped: used already, expired, or not what it should be.
	ErrWrapping = errors.New("the wrapping token is not valid")
	// ErrSealed: the server is sealed, not initialised, or its cluster has no active node. Nothing was done.
	ErrSealed = errors.New("the server is sealed or has no active node")
	// ErrStandby: a standby server names an active one that is not configured. Nothing was done.
	ErrStandby = errors.New("the server is a standby")
	// ErrThrottled: a quota of the server is used up. Nothing was done; see [Error.RetryAfter].
	ErrThrottled = errors.New("the server asks for fewer requests")
	// ErrUnreachable: no byte of the request left this machine.
	ErrUnreachable = errors.New("the server is not reachable")
	// ErrAmbiguous: the request was sent and no readable answer came. A write may
	// have been done: read before it is repeated.
	ErrAmbiguous = errors.New("no clear answer came")
	// ErrInvalid: the server, or this package before it, calls the request malformed.
	ErrInvalid = errors.New("the request is not valid")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("the client is closed")
)

// Error is what became of one request. It is immutable.
type Error struct {
	Op     string // what was tried, as "write secret/apps/shop"
	Status int    // of HTTP; 0 when no answer came
	// Denied names the path and the capability that a policy would have to grant.
	// It is empty unless the error is ErrDenied.
	Denied string

	says  string        // what happened and what to do
	kinds []error       // sentinels
	after time.Duration // what the server asked to wait
	err   error         // the cause, when it lies on this side
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	b.WriteString(e.says)
	if e.Status != 0 {
		fmt.Fprintf(&b, " (HTTP %d)", e.Status)
	}
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	return b.String()
}

// Unwrap returns the sentinels and the cause, for [errors.Is] and [errors.As].
func (e *Error) Unwrap() []error {
	if e.err == nil {
		return e.kinds
	}
	return append(slices.Clip(e.kinds), e.err)
}

// RetryAfter is how long to wait before the next try, between 0 and one hour: what
// the server asked for (RFC 9110 section 10.2.3), or what is left of this
// package's own pause between two logins. 0 means that nobody said.
func (e *Error) RetryAfter() time.Duration { return e.after }
