package vault

import (
	"log/slog"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultTokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"
)

// Options describe one Vault server, or one cluster, and who tokend is to it.
// Nothing else is asked: no environment variable, no file in a home directory.
type Options struct {
	Name string // of the configuration's block; for messages alone
	// Address is https://host[:port]. Plain http is taken for loopback, and
	// elsewhere with AllowInsecureHTTP.
	Address string
	// Standbys are further addresses of the same cluster. They are used when
	// Address can't be reached, and when a standby redirects there (Vault's answer
	// 307); a redirect to an address that is not named here is refused.
	Standbys          []string
	AllowInsecureHTTP bool
	// Namespace goes with every request (X-Vault-Namespace; Vault Enterprise and
	// OpenBao). A community server ignores it without a word.
	Namespace string
	TLS       TLS
	Auth      Auth
	Timeout   time.Duration // of one request, answer included; 0: 10 s
	Logger    *slog.Logger  // nil: nothing is logged
}

// TLS is how a server is known, and how tokend shows itself. TLS 1.2 is the least.
type TLS struct {
	CAFile     string // PEM; empty: the system's
	CertFile   string // PEM; re-read at every handshake, so that it may be rotated
	KeyFile    string
	ServerName string // where it is not the address' host
}

// Auth is how tokend logs in.
type Auth struct {
	// Method is one of token, token_file, approle, kubernetes, jwt and cert.
	Method string
	Mount  string // of the auth method; empty: the method's name

	Token     token.Secret // token
	TokenFile string       // token_file: re-read when it changes and when its token is refused

	RoleID       string       // approle
	SecretID     token.Secret // approle, or SecretIDFile; neither for a role with bind_secret_id = false
	SecretIDFile string       // approle: read at every login
	// SecretIDWrapped says that the secret id is a response-wrapping token: it is
	// unwrapped once, and what was in it is kept in memory for the next logins.
	SecretIDWrapped bool

	Role    string // kubernetes, jwt; for cert the name of the certificate role, or empty for any
	JWTFile string // kubernetes, jwt: read at every login; empty for kubernetes: the ServiceAccount's
}
