package endpoint

import (
	"cmp"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Config describes one token endpoint. It is immutable after [New].
type Config struct {
	// TokenEndpoint is an absolute https URL without user and fragment (RFC
	// 6749 section 3.2). A query in it is kept.
	TokenEndpoint string
	// AllowInsecureHTTP permits plain http to a host that is not loopback.
	AllowInsecureHTTP bool
	// Timeout is the one deadline over the whole attempt, from the name's
	// resolution to the last byte of the answer. 0 means 30 s. The context of
	// Send may be shorter.
	Timeout time.Duration
	// Requests says how to ask, by grant_type; the key "" is for every other.
	// Each stands for itself, nothing is inherited from "". An empty field of a
	// Request has the value that RFC 6749 gives it.
	Requests map[string]Request
	Response Response
	TLS      TLS
	// Concurrency is how many idle connections are worth keeping. 0 means 16.
	Concurrency int
}

// Request is the shape of the token requests of one grant.
type Request struct {
	Method        string // POST (the default) or GET
	ParamsIn      string // form (the default), query or json; a GET has query alone
	ClientAuth    string // client_secret_basic (the default), client_secret_post or none; the names of RFC 7591 section 2
	BasicEncoding string // rfc6749 (the default): id and secret are form-encoded first; raw: they are not

	// Headers are sent as they are. Accept is application/json and User-Agent
	// tokend unless they are set here.
	Headers map[string]token.Secret
	// Query holds parameters that always go into the query.
	Query map[string]token.Secret
	// Params holds parameters that go where ParamsIn says. A parameter of the
	// grant or of client authentication wins over one of the same name here.
	Params map[string]token.Secret
}

// Response says under which names the answer's values are found: a field name,
// or a path of names joined by dots where the server nests them. The empty
// string stands for RFC 6749's name.
type Response struct {
	AccessToken  string
	RefreshToken string
	ExpiresIn    string
	TokenType    string
	Scope        string
	// DefaultLifetime is for answers whose lifetime is neither in expires_in
	// nor in a JWT's exp claim. 0 means one hour.
	DefaultLifetime time.Duration
}

// TLS names PEM files. They are read once, by [New].
type TLS struct {
	CAFile   string // trusted instead of the system's roots
	CertFile string // a client certificate, with KeyFile
	KeyFile  string
}

const (
	defaultTimeout     = 30 * time.Second
	defaultLifetime    = time.Hour
	defaultConcurrency = 16
)

func (r Request) withDefaults() Request {
	r.Method = cmp.Or(r.Method, "POST")
	if r.Method == "GET" {
		r.ParamsIn = cmp.Or(r.ParamsIn, "query")
	}
	r.ParamsIn = cmp.Or(r.ParamsIn, "form")
	r.ClientAuth = cmp.Or(r.ClientAuth, "client_secret_basic")
	r.BasicEncoding = cmp.Or(r.BasicEncoding, "rfc6749")
	return r
}

func (r Response) withDefaults() Response {
	r.AccessToken = cmp.Or(r.AccessToken, "access_token")
	r.RefreshToken = cmp.Or(r.RefreshToken, "refresh_token")
	r.ExpiresIn = cmp.Or(r.ExpiresIn, "expires_in")
	r.TokenType = cmp.Or(r.TokenType, "token_type")
	r.Scope = cmp.Or(r.Scope, "scope")
	if r.DefaultLifetime <= 0 {
		r.DefaultLifetime = defaultLifetime
	}
	return r
}
