package control

import (
	"context"
	"errors"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// What a [Daemon] returns, wrapped or bare, and what a [Client] reports with
// [errors.Is] on the other side.
var (
	// ErrUnknownToken: the configuration has no token of this name.
	ErrUnknownToken = errors.New("unknown token")
	// ErrNotReady: there is no valid access token now.
	ErrNotReady = errors.New("no valid access token")
	// ErrTooShort: there is a valid access token, with less time left than asked for.
	ErrTooShort = errors.New("the access token expires too soon")
	// ErrConfig: the configuration that was to be loaded can't be used.
	ErrConfig = errors.New("invalid configuration")
	// ErrStopping: the daemon is shutting down.
	ErrStopping = errors.New("the daemon is stopping")
)

// Daemon is what the socket is the door to. All methods are safe for concurrent
// use, and return soon after ctx is done. No error holds a secret; its message
// is shown to the user as it is.
type Daemon interface {
	// Status returns a snapshot that the caller may keep and change.
	Status() Status

	// Token returns the current access token of name without waiting for
	// anything. The error wraps ErrUnknownToken, ErrNotReady, or, when the token
	// has less than minTTL left, ErrTooShort.
	Token(ctx context.Context, name string, minTTL time.Duration) (token.Token, error)

	// Refresh asks for a token request now (a login instead of a refresh when
	// login is set) and waits for its result. The request is not cancelled with
	// ctx: only the waiting ends. The error wraps ErrUnknownToken, or is what
	// the attempt failed with, a *token.Failure where there was a request.
	Refresh(ctx context.Context, name string, login bool) error

	// Wait returns nil once every named token, or every token there is when
	// names is empty, has at least minTTL left. The error wraps ErrUnknownToken
	// at once for a name that is not configured, or the cause of ctx.
	Wait(ctx context.Context, names []string, minTTL time.Duration) error

	// Reload loads the configuration again and puts it into effect. After an
	// error, whatever it is, the last good configuration runs on; a client sees
	// ErrConfig.
	Reload(ctx context.Context) error

	// Fingerprints describes the running configuration for a plan.
	Fingerprints(ctx context.Context) (Fingerprints, error)
}
