package token

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a string that must not be seen: a token, a password, a client
// secret. It prints, marshals and logs as "[redacted]" under every verb, so
// that a secret reaches an output only through a call to [Secret.Reveal], which
// can be searched for. The zero Secret is empty.
//
// A Secret is immutable and safe for concurrent use. It does not compare with ==,
// which would not take constant time; use [Secret.Equal].
//
// The string lies behind a pointer, because fmt calls no method of a field that
// is not exported: a struct that holds a Secret prints an address.
type Secret struct {
	_     [0]func() // not comparable
	value *string
}

// NewSecret wraps s.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{value: &s}
}

// Reveal returns the secret itself. It is for the place that sends it to its
// owner (a request, a sink, a sealed record), and for nothing else.
func (s Secret) Reveal() string {
	if s.IsEmpty() {
		return ""
	}
	return *s.value
}

// IsEmpty reports whether the secret is the empty string.
func (s Secret) IsEmpty() bool { return s.value == nil }

// Equal compares in constant time.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// Sum is the SHA-256 of the secret. It names a high-entropy secret, such as a
// refresh token, without holding it; it does not protect a guessable one.
func (s Secret) Sum() [sha256.Size]byte { return sha256.Sum256([]byte(s.Reveal())) }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (Secret) GoString() string { return redacted }

// Format implements [fmt.Formatter], so that no verb, %x and %q included,
// reaches the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements [encoding.TextMarshaler]; JSON uses it too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
