package sinks

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Format renders a token as the bytes of a sink. Equal tokens render equally, at
// any time and in any process, since a sink compares to find out whether it has
// anything to do. A Format is immutable and safe for concurrent use. Its errors
// never hold the token.
type Format interface {
	Render(t token.Token) ([]byte, error)
}

// FormatOptions are the settings that single formats take; the others ignore
// them.
type FormatOptions struct {
	Variable string // env: the variable's name; default TOKEND_ACCESS_TOKEN
	Machine  string // netrc: the host name; required
	Login    string // netrc: the login name; default "oauth2"
	Registry string // dockerconfigjson: the registry's host, with a port where it has one; required
	Username string // dockerconfigjson: default "oauth2accesstoken"
	User     string // kubeconfig: the name of the user; default "tokend"
}

const (
	defaultVariable = "TOKEND_ACCESS_TOKEN"
	defaultExpiry   = "TOKEND_EXPIRES_AT"
	defaultLogin    = "oauth2"
)

// FormatNames lists what [NewFormat] takes, in the order of the documentation.
func FormatNames() []string {
	return []string{"token", "json", "header", "env", "netrc", "dockerconfigjson", "kubeconfig", "exec-credential"}
}

// NewFormat returns the named format:
//
//   - token: the bare access token, without a newline after it, so that a
//     program which reads the whole file sends what the server issued.
//   - json: one object with access_token, token_type, scope, expires_at (RFC
//     3339, UTC), expires_in (the lifetime in seconds at the time of issue, so
//     that the content does not age) and generation.
//   - header: "Authorization: Bearer …" and a newline (RFC 6750 section 2.1), for
//     curl's -H @file.
//   - env: two assignments in the quoting of a POSIX shell, which systemd's
//     EnvironmentFile= reads too: the token as TOKEND_ACCESS_TOKEN and its expiry
//     (RFC 3339, UTC) as TOKEND_EXPIRES_AT. With a variable X of one's own the
//     second is called X_EXPIRES_AT.
//   - netrc: one entry of machine, login and password.
//   - dockerconfigjson: a Docker configuration of one registry, as docker and
//     Secrets of the type kubernetes.io/dockerconfigjson have it.
//   - kubeconfig: a kubeconfig with one user and nothing else, to be merged with
//     one that has the cluster.
//   - exec-credential: the answer of a credential plugin of kubectl
//     (client.authentication.k8s.io/v1), with the expiry.
func NewFormat(name string, o FormatOptions) (Format, error) {
	switch name {
	case "token":
		return bare{}, nil
	case "json":
		return object{}, nil
	case "header":
		return header{}, nil
	case "env":
		return newEnv(o.Variable)
	case "netrc":
		return newNetrc(o.Machine, o.Login)
	case "dockerconfigjson":
		return newDocker(o.Registry, o.Username)
	case "kubeconfig":
		return newKubeconfig(o.User)
	case "exec-credential":
		return execCredential{}, nil
	}
	return nil, fmt.Errorf("unknown format %q: it is one of %s", name, strings.Join(FormatNames(), ", "))
}

type bare struct{}

func (bare) Render(t token.Token) ([]byte, error) {
	return []byte(t.AccessToken.Reveal()), nil
}

type object struct{}

func (object) Render(t token.Token) ([]byte, error) {
	b, err := json.Marshal(struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		Scope       string `json:"scope"`
		ExpiresAt   string `json:"expires_at"`
		ExpiresIn   int64  `json:"expires_in"`
		Generation  uint64 `json:"generation"`
	}{
		t.AccessToken.Reveal(), t.TokenType, t.Scope,
		stamp(t.ExpiresAt), seconds(t.Lifetime()), t.Generation,
	})
	if err != nil {
		return nil, fmt.Errorf("render the token as JSON: %w", err)
	}
	return append(b, '\n'), nil
}

type header struct{}

func (header) Render(t token.Token) ([]byte, error) {
	scheme := t.TokenType
	if scheme == "" || strings.EqualFold(scheme, "bearer") {
		scheme = "Bearer" // token_type is case-insensitive, many servers' schemes are not
	}
	value := t.AccessToken.Reveal()
	if !printable(scheme) || !printable(value) {
		return nil, fmt.Errorf("render the token as a header: it holds characters that no header may carry")
	}
	return []byte("Authorization: " + scheme + " " + value + "\n"), nil
}

type env struct{ variable, expiry string }

func newEnv(variable string) (Format, error) {
	if variable == "" {
		return env{defaultVariable, defaultExpiry}, nil
	}
	if !isVariable(variable) {
		return nil, fmt.Errorf("%q cannot name a variable: it takes letters, digits and underscores, and no digit first", variable)
	}
	return env{variable, variable + "_EXPIRES_AT"}, nil
}

func (e env) Render(t token.Token) ([]byte, error) {
	value := t.AccessToken.Reveal()
	if !printable(value) {
		return nil, fmt.Errorf("render the token for a shell: it holds control characters or spaces")
	}
	var b strings.Builder
	b.WriteString(e.variable + "=" + shellQuote(value) + "\n")
	b.WriteString(e.expiry + "=" + shellQuote(stamp(t.ExpiresAt)) + "\n")
	return []byte(b.String()), nil
}

type netrc struct{ machine, login string }

func newNetrc(machine, login string) (Format, error) {
	if login == "" {
		login = defaultLogin
	}
	if machine == "" {
		return nil, fmt.Errorf("the netrc format needs a machine: the host name that the token is for")
	}
	for _, s := range []string{machine, login} {
		if !isNetrcWord(s) {
			return nil, fmt.Errorf("%q cannot stand in a netrc file: it takes neither spaces nor quotes", s)
		}
	}
	return netrc{machine, login}, nil
}

func (n netrc) Render(t token.Token) ([]byte, error) {
	value := t.AccessToken.Reveal()
	if !isNetrcWord(value) {
		return nil, fmt.Errorf("render the token for netrc: it holds characters that netrc cannot quote")
	}
	return []byte("machine " + n.machine + "\nlogin " + n.login + "\npassword " + value + "\n"), nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func seconds(d time.Duration) int64 { return max(0, int64(d/time.Second)) }
