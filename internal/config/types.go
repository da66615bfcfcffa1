package config

import (
	"io/fs"
	"log/slog"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Config is one loaded configuration, complete: every default is filled in and
// every reference resolved. It is immutable after [Load] and safe for
// concurrent use. Equal values are shared between tokens, so nobody may change
// a map or slice in it.
type Config struct {
	State     State
	HTTP      *HTTP // nil without an http block
	Control   Control
	Log       Log
	Providers []*Provider // by name
	Tokens    []*Token    // by name
}

// State is where records survive a restart.
type State struct {
	Dir string
	Key token.Secret // AEAD key; empty when records are not sealed
}

// HTTP is the listener of health: /healthz and /readyz.
type HTTP struct{ Address string } // host:port

// Control is the unix socket that the command line talks to.
type Control struct {
	Socket string
	Group  string // whose members may connect, beside the daemon's user and root; may be empty
}

// Log is what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // "json" or "text"
}

// Provider is an authorization server's token endpoint as tokend talks to it.
type Provider struct {
	Name, Profile, TokenEndpoint string

	ClientID     string
	ClientSecret token.Secret

	Timeout           time.Duration // of one token request, > 0
	AllowInsecureHTTP bool

	// Requests holds a complete Request by grant_type; the key "" is for every
	// grant_type that has none of its own.
	Requests map[string]Request

	Response      Response
	RefreshTokens RefreshTokens
	Schedule      Schedule
	Limits        Limits
	TLS           TLS
}

// Request says how a token request is put together.
type Request struct {
	Method        string // "POST" or "GET"
	ParamsIn      string // "form", "query" or "json"
	ClientAuth    string // "client_secret_basic", "client_secret_post" or "none" (RFC 7591 section 2)
	BasicEncoding string // "rfc6749" (form-encode id and secret first, RFC 6749 section 2.3.1) or "raw"

	Headers map[string]token.Secret // by canonical name
	Query   map[string]token.Secret // always in the query
	Params  map[string]token.Secret // where ParamsIn says
}

// RequestFor returns the request of a grant_type.
func (p *Provider) RequestFor(grantType string) Request {
	if r, ok := p.Requests[grantType]; ok {
		return r
	}
	return p.Requests[""]
}

// Response names the fields of an answer; each name is a field or a dotted
// path into nested objects.
type Response struct {
	AccessToken, RefreshToken, ExpiresIn, TokenType, Scope string

	DefaultLifetime time.Duration // when the answer tells no lifetime, > 0
}

// RefreshTokens says whether refresh tokens are spent.
type RefreshTokens struct {
	Use   bool
	Grace time.Duration // how long the server still takes a rotated-out refresh token, >= 0
}

// Schedule says when a token is refreshed.
type Schedule struct {
	RefreshAt   float64       // fraction of the lifetime, in (0, 1)
	Jitter      float64       // fraction of the wait, in [0, 0.5]
	Lead        time.Duration // at least this long before expiry, >= 0
	MinInterval time.Duration // floor between two requests for one token, > 0

	Cron, LoginCron []string // specs that cron.ParseStandard takes
}

// Limits bound the requests to one provider, over all its tokens.
type Limits struct {
	Concurrency int     // requests in flight, >= 1
	Rate        float64 // requests per second; 0 for unlimited
}

// TLS names PEM files; each may be empty. CertFile and KeyFile come together.
type TLS struct{ CAFile, CertFile, KeyFile string }

// Token is one access token that is kept fresh.
type Token struct {
	Name     string
	Provider *Provider

	ClientID     string // the token's own, else its provider's
	ClientSecret token.Secret

	Grant    Grant
	Schedule Schedule // the provider's, overridden key by key
	Probe    *Probe   // nil without
	Sinks    []Sink
	OnUpdate *OnUpdate // nil without
}

// Grant is how a token logs in.
type Grant struct {
	Kind   string // the grant_type
	Params map[string]token.Secret
	Scope  []string
}

// Probe is a request to a resource that tells whether a token is accepted.
type Probe struct {
	URL               string
	Method            string
	Headers           map[string]token.Secret // by canonical name
	Every, Timeout    time.Duration           // > 0
	AllowInsecureHTTP bool
}

// Sink is one destination. The field that Kind names is set.
type Sink struct {
	Kind string // "file"
	File *FileSink
}

// FileSink is a file that holds the current generation.
type FileSink struct {
	Path          string // absolute and clean
	Mode, DirMode fs.FileMode
	Owner, Group  string // a name or a number; empty to leave it

	Format   string // "token", "json", "header", "env" or "netrc"; empty with Template
	Template string // text/template; empty with Format

	Variable string // of "env"
	Machine  string // of "netrc"
	Login    string // of "netrc"

	OnRemove string // "keep" or "delete": the file's fate when the token leaves the configuration
}

// OnUpdate is a command that runs after a new generation has been delivered.
type OnUpdate struct {
	Command []string // argv; never a shell's
	Timeout time.Duration
}
