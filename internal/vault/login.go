package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/tokend-project/tokend/internal/token"
)

// method is one way to a token. Its functions are called by one flight at a time.
type method struct {
	name  string
	mount string
	file  string // that the token or a credential is read from; empty: none
	// payload is what the login request says; nil for a token that tokend is given.
	payload func(ctx context.Context, c *Client) (map[string]any, error)
	token   token.Secret // method token
	checked checkpoint
}

func newMethod(a Auth, t TLS) (*method, error) {
	mount, err := cleanPath(orDefault(a.Mount, a.Method))
	if err != nil {
		return nil, fmt.Errorf("mount: %w", err)
	}
	m := &method{name: a.Method, mount: mount}
	switch a.Method {
	case "token":
		m.token = a.Token
		return m, errors.Join(missing("token", a.Token.IsEmpty()), oneWord("token", a.Token.Reveal()))
	case "token_file":
		m.file = a.TokenFile
		return m, missing("token_file", a.TokenFile == "")
	case "approle":
		return m, m.approle(a)
	case "kubernetes", "jwt":
		m.file = a.JWTFile
		if a.Method == "kubernetes" {
			m.file = orDefault(a.JWTFile, defaultTokenFile)
		}
		m.payload = m.bearer(a.Role)
		return m, errors.Join(missing("role", a.Role == "" && a.Method == "kubernetes"), missing("jwt_file", m.file == ""))
	case "cert":
		m.file = t.CertFile
		m.payload = func(context.Context, *Client) (map[string]any, error) { return named(a.Role), nil }
		return m, missing("tls.cert_file", t.CertFile == "")
	default:
		return nil, errors.New("the method is one of token, token_file, approle, kubernetes, jwt and cert")
	}
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

func missing(name string, is bool) error {
	if !is {
		return nil
	}
	return fmt.Errorf("%s is missing", name)
}

// named omits an empty name: the server then tries all certificate roles.
func named(role string) map[string]any {
	if role == "" {
		return map[string]any{}
	}
	return map[string]any{"name": role}
}

// bearer presents the JWT as it stands in the file now: a ServiceAccount's is
// replaced about every hour.
func (m *method) bearer(role string) func(context.Context, *Client) (map[string]any, error) {
	return func(context.Context, *Client) (map[string]any, error) {
		jwt, err := readSecret(m.file, false)
		if err != nil {
			return nil, err
		}
		p := map[string]any{"jwt": jwt.Reveal()}
		if role != "" { // else the mount's default_role
			p["role"] = role
		}
		return p, nil
	}
}

func (m *method) logsIn() bool { return m.payload != nil }

// reviveable is nil when there is a way to another token.
func (m *method) reviveable() error {
	switch {
	case m.logsIn():
		return nil
	case m.name == "token_file":
		return &Error{Op: "use the token of " + m.file, says: "it is expired or revoked, and the file holds no other; what writes this file has to bring a new one", kinds: []error{ErrLogin, errDead}}
	default:
		return &Error{Op: "use the token of the configuration", says: "it is expired or revoked; put a new one there", kinds: []error{ErrLogin, errDead}}
	}
}

// pause is how long to wait after a login failed.
func (m *method) pause(why error, tries int) time.Duration {
	if m.name == "approle" && errors.Is(why, errCredential) {
		return growingSlowly(tries)
	}
	return growing(tries)
}

// stamp tells one content of the credential's file from another.
func (m *method) stamp() stamp { return stampOf(m.file) }

// changed reports whether the token file is another than that of s. It looks once a
// second at most.
func (m *method) changed(s *session) bool {
	return m.name == "token_file" && m.checked.due(time.Now()) && !s.file.same(m.stamp())
}

// session gets a token. Its error is an [*Error] that is ErrLogin.
func (m *method) session(ctx context.Context, c *Client) (*session, error) {
	op := "log in by " + m.name
	if !m.logsIn() {
		return m.given(c)
	}
	payload, err := m.payload(ctx, c)
	if err != nil {
		return nil, loginError(op, err)
	}
	op += " at auth/" + m.mount
	doc, err := c.send(ctx, c.lib, request{op: op, method: http.MethodPut, path: "auth/" + m.mount + "/login", body: payload})
	if err != nil {
		return nil, loginError(op, err)
	}
	if doc.Auth == nil || doc.Auth.ClientToken == "" {
		return nil, &Error{Op: op, says: "the server answered without a token; a second factor can't be given by a daemon", kinds: []error{ErrLogin, errCredential}}
	}
	c.log.DebugContext(ctx, "logged in to Vault", "vault", c.name, "method", m.name,
		"lease_seconds", doc.Auth.LeaseDuration, "renewable", doc.Auth.Renewable, "policies", doc.Auth.Policies)
	return &session{lib: withToken(c.lib, token.NewSecret(doc.Auth.ClientToken)), began: time.Now(), auth: doc.Auth}, nil
}

// given is the session of a token that somebody else got.
func (m *method) given(c *Client) (*session, error) {
	if m.file == "" {
		return &session{lib: withToken(c.lib, m.token), began: time.Now()}, nil
	}
	at := m.stamp()
	t, err := readSecret(m.file, true)
	if err != nil {
		return nil, loginError("use the token of "+m.file, err)
	}
	return &session{lib: withToken(c.lib, t), began: time.Now(), file: at}, nil
}

// withToken is a shallow copy of the library's client, so that a request keeps the
// token that it began with.
func withToken(lib *api.Client, t token.Secret) *api.Client {
	copied := lib.WithRequestCallbacks()
	copied.SetToken(t.Reveal())
	return copied
}

// loginError is what a login failed with. What it might have done on the server is of
// no interest to the request that needed it, so it is never ErrAmbiguous.
func loginError(op string, err error) error {
	inner, ok := errors.AsType[*Error](err)
	if !ok {
		return &Error{Op: op, says: "there is nothing to log in with", kinds: []error{ErrLogin}, err: err}
	}
	e := *inner
	e.kinds, e.Denied = []error{ErrLogin}, ""
	for _, k := range []error{ErrWrapping, ErrSealed, ErrStandby, ErrThrottled, ErrUnreachable, errCredential} {
		if slices.Contains(inner.kinds, k) {
			e.kinds = append(e.kinds, k)
		}
	}
	if len(e.kinds) == 1 && e.Status >= 400 && e.Status < 500 {
		e.says = "the server refuses the login; check the auth mount, the role and the credential"
		e.kinds = append(e.kinds, errCredential)
	}
	if e.Status >= 500 && len(e.kinds) == 1 {
		e.says = "the server failed; what it says stands in its own log"
	}
	if slices.Contains(inner.kinds, ErrWrapping) && !strings.HasPrefix(inner.Op, "log in") {
		return &e
	}
	e.Op = op
	return &e
}
