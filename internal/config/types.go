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
	// Kubernetes holds the kubernetes blocks by name. Where none is written, and
	// something needs one, it is the one that has no name: the ServiceAccount of
	// the pod, or the usual kubeconfig rules.
	Kubernetes []*Kubernetes
	Vaults     []*Vault // by name

	State     State
	HA        *HA   // nil without an ha block
	HTTP      *HTTP // nil without an http block
	Metrics   Metrics
	Systemd   Systemd
	Tracing   *Tracing // nil without a tracing block
	Control   Control
	Log       Log
	Providers []*Provider // by name
	Tokens    []*Token    // by name
}

// Kubernetes is a way to an API server. Equal values lead to the same one.
type Kubernetes struct {
	Name       string // of the block; empty when there is none
	Kubeconfig string // a file; empty for the ServiceAccount of the pod, or the usual rules
	Context    string // of the kubeconfig; empty for its current one

	QPS   float64 // requests per second over all that use the block, > 0
	Burst int     // requests that may go at once, >= 1
}

// Vault is a way to a server of Vault's API.
type Vault struct {
	Name              string
	Address           string // https://host:port
	Standbys          string // further addresses of the same cluster, with a space between two; may be empty
	Namespace         string // may be empty
	Timeout           time.Duration
	AllowInsecureHTTP bool

	TLS  VaultTLS
	Auth VaultAuth
}

// VaultTLS names PEM files; each may be empty. CertFile and KeyFile come
// together.
type VaultTLS struct {
	CAFile, CertFile, KeyFile string
	ServerName                string // to verify the server by; empty for the host of the address
}

// VaultAuth is how tokend logs in to Vault. What the method does not take is
// empty.
type VaultAuth struct {
	Method string // "token", "token_file", "approle", "kubernetes", "jwt" or "cert"
	Mount  string // without slashes around; empty with "token" and "token_file"

	Token     token.Secret // of "token"
	TokenFile string       // of "token_file"

	RoleID          string       // of "approle"
	SecretID        token.Secret // of "approle"; it or SecretIDFile or neither
	SecretIDFile    string
	SecretIDWrapped bool // the secret_id is a response-wrapping token

	Role    string // of "kubernetes" and "jwt"; of "cert" the name of the certificate role, may be empty
	JWTFile string // of "jwt" and "kubernetes"
}

// State is where records survive a restart. It holds copies of what it refers
// to.
type State struct {
	Kind string       // "file", "kubernetes_secret" or "vault_kv"
	Key  token.Secret // AEAD key; empty when records are not sealed

	Dir string // of "file"

	Kubernetes Kubernetes // of "kubernetes_secret"
	Namespace  string     // of the Secrets; empty for the client's own
	Prefix     string     // of the Secrets' names

	Vault       Vault // of "vault_kv"
	Mount, Path string
}

// HA is how several replicas share the work. It holds copies, so that two compare
// with ==.
type HA struct {
	Kubernetes Kubernetes
	Namespace  string // of the Leases; empty for the client's own
	Name       string // of the Lease, or what the names of several begin with
	Shards     int    // 1 to 128

	LeaseDuration time.Duration // whole seconds
	RenewEvery    time.Duration // less than half of LeaseDuration
	Identity      string        // of this replica, for people; empty for one that is made up at start
}

// HTTP is the listener of health and metrics: /healthz, /readyz and /metrics.
type HTTP struct{ Address string } // host:port

// Systemd is what a service manager is told.
type Systemd struct {
	Ready string // when: "delivered" (every sink held its token once) or "started"
}

// Metrics is what /metrics shows.
type Metrics struct {
	PerTokenUpTo int // how many tokens may have series of their own, and of their sinks, beside those of every provider; above, none has
}

// Control is the unix socket that the command line talks to.
type Control struct {
	Socket string
	Group  string // whose members may connect, beside the daemon's user and root; may be empty
}

// Log is what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // "json", "text", "journald", or "auto": that under systemd, and else "json"
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
	Kind       string          // "file", "kubernetes_secret" or "vault_kv"
	File       *FileSink       // of "file"
	Kubernetes *KubernetesSink // of "kubernetes_secret"
	Vault      *VaultSink      // of "vault_kv"

	// Propagation is how long after a write consumers may still read the token
	// before; it counts into the token's lead. Never negative.
	Propagation time.Duration
}

// FileSink is a file that holds the current generation.
type FileSink struct {
	Path          string // absolute and clean
	Mode, DirMode fs.FileMode
	Owner, Group  string // a name or a number; empty to leave it

	Format   string // a format's name; empty with Template
	Template string // text/template; empty with Format

	Variable string // of "env"
	Machine  string // of "netrc"
	Login    string // of "netrc"
	Registry string // of "dockerconfigjson"
	Username string // of "dockerconfigjson"
	User     string // of "kubeconfig"

	OnRemove string // "keep" or "delete": the file's fate when the token leaves the configuration
}

// FormatOptions are what single formats read; the others are empty.
type FormatOptions struct {
	Variable string // of "env"
	Machine  string // of "netrc"
	Login    string // of "netrc"
	Registry string // of "dockerconfigjson"
	Username string // of "dockerconfigjson"
	User     string // of "kubeconfig"
}

// KubernetesSink is keys of a Secret.
type KubernetesSink struct {
	Kubernetes *Kubernetes
	Namespace  string // empty for the client's own
	Name, Type string

	// Data holds a text/template and Formats a format's name for every key of
	// the Secret; no key is in both, and there is one at least.
	Data, Formats map[string]string
	FormatOptions FormatOptions

	Labels, Annotations map[string]string
	OnRemove            string // "keep" or "delete": the fate of what is tokend's in the Secret
}

// VaultSink is fields of a secret in a KV engine.
type VaultSink struct {
	Vault       *Vault
	Mount, Path string // without slashes around
	Version     int    // of the engine: 1, 2, or 0 to find out

	// Data holds a text/template and Formats a format's name for every field; no
	// field is in both, and there is one at least.
	Data, Formats map[string]string
	FormatOptions FormatOptions

	Metadata    map[string]string // custom metadata of version 2: templates, which see no access token
	MaxVersions int               // that version 2 keeps; 0 for what the engine says
	CheckEvery  time.Duration     // between two looks for changes by others, >= 1s
	OnRemove    string            // "keep" or "delete"
}

// OnUpdate is a command that runs after a new generation has been delivered.
type OnUpdate struct {
	Command []string // argv; never a shell's
	Timeout time.Duration
}
