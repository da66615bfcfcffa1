package token

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNoRecord is wrapped by a store's error when it holds no readable record
// for a token, be it that none was written or that a damaged one was put into
// quarantine. The token logs in anew.
var ErrNoRecord = errors.New("no stored record")

// ErrFenced is wrapped by a store's error when another owner has taken over the
// record. Nothing was written, and nothing may be spent.
var ErrFenced = errors.New("another owner holds the state")

// Class says what a failed token request means for the refresh token that it
// may have spent, and so what may be done next. The endpoint alone decides it.
type Class uint8

const (
	// NotSent: no byte of the request left. Nothing was spent.
	NotSent Class = iota + 1
	// Ambiguous: the request was sent and no definite answer was read. A
	// refresh token may or may not have been spent.
	Ambiguous
	// Transient: the server declined for now (429, temporarily_unavailable).
	Transient
	// Rejected: a definite refusal of this grant, such as invalid_grant.
	Rejected
	// Misconfigured: a refusal that only a change of the configuration mends,
	// such as invalid_client.
	Misconfigured
)

var classNames = [...]string{"", "not_sent", "ambiguous", "transient", "rejected", "misconfigured"}

// String returns the class as it stands in logs, status and metrics.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return ""
}

// MarshalText implements [encoding.TextMarshaler].
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Failure is a token request that brought no usable token. Its message holds no
// secret, no body and no URL query, so that it may be logged and shown as it is.
type Failure struct {
	Class       Class
	Reason      string        // a stable word for what happened, such as "dial", "timeout", "http_status", "oauth_error", "content_type"
	Status      int           // HTTP status; 0 when none was read
	Code        string        // the error code of RFC 6749 section 5.2 or the server's own; escaped, at most 64 bytes
	Description string        // the server's error_description; escaped, redacted, at most 256 bytes
	RetryAfter  time.Duration // as the server asked, capped at one hour; 0 when it did not
	Err         error         // the cause, when there is one
}

func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString("token request ")
	switch {
	case f.Class == NotSent:
		b.WriteString("not sent")
	case f.Class == Ambiguous && f.Status == 0:
		b.WriteString("sent but not answered")
	case f.Class == Ambiguous:
		b.WriteString("answered without a usable result")
	default:
		b.WriteString("refused")
	}
	if f.Reason != "" {
		fmt.Fprintf(&b, " (%s)", f.Reason)
	}
	if f.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", f.Status)
	}
	if f.Code != "" {
		fmt.Fprintf(&b, ": %s", f.Code)
	}
	if f.Description != "" {
		fmt.Fprintf(&b, ": %s", f.Description)
	}
	if f.Err != nil {
		fmt.Fprintf(&b, ": %v", f.Err)
	}
	return b.String()
}

func (f *Failure) Unwrap() error { return f.Err }
