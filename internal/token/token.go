package token

import (
	"crypto/sha256"
	"regexp"
	"time"
)

// Token is one generation of an access token, as sinks and commands receive it.
// It never carries the refresh token: that one stays between the record and the
// token endpoint.
type Token struct {
	Generation  uint64 // counts up by one with every new access token
	AccessToken Secret
	TokenType   string // as the server spelled it; RFC 6749 section 5.1 makes it case-insensitive
	Scope       string // space-delimited, whatever the server's own delimiter was

	// IssuedAt is taken just before the request is sent, never from the server.
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// Lifetime is ExpiresAt − IssuedAt. It may be zero or negative: servers do hand
// out tokens that have already expired.
func (t Token) Lifetime() time.Duration { return t.ExpiresAt.Sub(t.IssuedAt) }

// Valid reports whether the token exists and has not expired at now.
func (t Token) Valid(now time.Time) bool {
	return !t.AccessToken.IsEmpty() && now.Before(t.ExpiresAt)
}

// Answer is what one token request brought. An Answer that comes with an error
// is a salvage: its RefreshToken, when there is one, is good and has replaced
// the one that was spent, although the access token could not be used.
type Answer struct {
	AccessToken  Secret
	TokenType    string
	Scope        string
	RefreshToken Secret // empty when the answer had none: the old one stays good (RFC 6749 section 6)
	IssuedAt     time.Time
	ExpiresAt    time.Time
	Oddities     []string // deviations that were tolerated, in plain words, without any value of the answer
}

// Record is what must survive a restart: the current generation, the refresh
// token and the intent to spend it.
type Record struct {
	Token
	RefreshToken Secret

	// Binding is the fingerprint of who logged in, where and for what: token
	// endpoint, client_id, grant, user and scope. A refresh token is never sent
	// under another one.
	Binding string

	// Seed is the SHA-256 of the configured refresh token that this family
	// started from; zero for other grants. A different one in the config is a
	// new family.
	Seed [sha256.Size]byte

	// Intent is set while a refresh token is being spent: durable before the
	// request is sent, cleared by the commit of its answer.
	Intent *Intent

	// Rotation is what this server's refresh answers have shown so far.
	Rotation Rotation

	// Notified is the last generation that the token's hook has run for.
	Notified uint64

	// Cold marks a generation that was obtained while no token was valid, as at
	// a first start or after an outage. Many tokens are then born together, so
	// their next refresh is spread wider.
	Cold bool
}

// Intent says that a refresh token is about to be presented. One that is found
// at start-up belongs to an attempt whose outcome nobody knows.
type Intent struct {
	Attempt int               // counts the presentations of this refresh token, from 1
	Spent   [sha256.Size]byte // SHA-256 of the refresh token
	Started time.Time
}

// Rotation tells whether a server replaces the refresh token at a refresh.
type Rotation uint8

const (
	RotationUnknown Rotation = iota // no refresh was answered yet; treated as rotating
	RotationSeen                    // an answer carried a new refresh token
	RotationNone                    // an answer carried the same one, or none
)

var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ValidName reports whether s may name a token or a provider: a name goes into
// paths, labels and messages, so it is `[a-z0-9][a-z0-9._-]{0,62}`.
func ValidName(s string) bool { return namePattern.MatchString(s) }
