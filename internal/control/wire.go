package control

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// The paths of the API. The token's name is a path element, everything else a
// query parameter.
const (
	pathStatus       = "/v1/status"
	pathNames        = "/v1/names"
	pathToken        = "/v1/tokens/{name}"
	pathRefresh      = "/v1/tokens/{name}/refresh"
	pathWait         = "/v1/wait"
	pathReload       = "/v1/reload"
	pathFingerprints = "/v1/fingerprints"
)

// tokenAnswer is the one answer that holds a secret.
type tokenAnswer struct {
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	Scope       string    `json:"scope,omitempty"`
	Generation  uint64    `json:"generation"`
	IssuedAt    time.Time `json:"issued_at"`
	ExpiresAt   time.Time `json:"expires_at"`
}

func answerOf(t token.Token) tokenAnswer {
	return tokenAnswer{
		AccessToken: t.AccessToken.Reveal(),
		TokenType:   t.TokenType,
		Scope:       t.Scope,
		Generation:  t.Generation,
		IssuedAt:    t.IssuedAt,
		ExpiresAt:   t.ExpiresAt,
	}
}

func (a tokenAnswer) token() token.Token {
	return token.Token{
		Generation:  a.Generation,
		AccessToken: token.NewSecret(a.AccessToken),
		TokenType:   a.TokenType,
		Scope:       a.Scope,
		IssuedAt:    a.IssuedAt,
		ExpiresAt:   a.ExpiresAt,
	}
}

// The codes of an [Error].
const (
	CodeUnknownToken = "unknown_token"
	CodeNotReady     = "not_ready"
	CodeTooShort     = "too_short"
	CodeConfig       = "config"
	CodeStopping     = "stopping"
	CodeForbidden    = "forbidden"
	CodeBadRequest   = "bad_request"
	CodeFailed       = "failed"
)

// Error is a request that the daemon answered with a refusal or a failure.
// [errors.Is] finds the error of the [Daemon] that it stands for.
type Error struct {
	Code       string `json:"code"`
	Message    string `json:"message"`              // for a person; holds no secret
	Suggestion string `json:"suggestion,omitempty"` // the configured name that an unknown one resembles
	Class      string `json:"class,omitempty"`      // of a failed token request, as [token.Class] spells it
}

func (e *Error) Error() string {
	if e.Suggestion == "" {
		return e.Message
	}
	return fmt.Sprintf("%s. Did you mean %q?", e.Message, e.Suggestion)
}

// Is reports whether e stands for target, one of the errors of this package.
func (e *Error) Is(target error) bool {
	for _, k := range kinds() {
		if k.err == target {
			return k.code == e.Code
		}
	}
	return false
}

// ErrForbidden refuses a peer: it is neither the daemon's user nor root nor in
// the configured group.
var ErrForbidden = errors.New("not allowed")

// errBadRequest refuses what no client of ours sends.
var errBadRequest = errors.New("bad request")

type kind struct {
	err    error
	code   string
	status int
}

// kinds ties the errors of a daemon to their codes and HTTP statuses.
func kinds() []kind {
	return []kind{
		{ErrUnknownToken, CodeUnknownToken, http.StatusNotFound},
		{ErrTooShort, CodeTooShort, http.StatusConflict},
		{ErrNotReady, CodeNotReady, http.StatusConflict},
		{ErrConfig, CodeConfig, http.StatusUnprocessableEntity},
		{ErrStopping, CodeStopping, http.StatusServiceUnavailable},
		{ErrForbidden, CodeForbidden, http.StatusForbidden},
		{errBadRequest, CodeBadRequest, http.StatusBadRequest},
	}
}

// wireError turns err into what is sent, and the HTTP status it is sent with.
func wireError(err error) (*Error, int) {
	e, status := &Error{Code: CodeFailed, Message: err.Error()}, http.StatusInternalServerError
	if known, ok := errors.AsType[*Error](err); ok {
		e = known
	}
	for _, k := range kinds() {
		if errors.Is(err, k.err) {
			e.Code, status = k.code, k.status
			break
		}
	}
	if failure, ok := errors.AsType[*token.Failure](err); ok {
		e.Class = failure.Class.String()
	}
	return e, status
}
