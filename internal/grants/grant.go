package grants

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

// Grant says what a login sends. It is immutable and safe for concurrent use.
type Grant interface {
	// Params returns the grant_type of a login and its parameters. They hold no
	// client authentication, which is the endpoint's business. The map is the
	// caller's.
	Params() (grantType string, values map[string]token.Secret)
}

// New builds the grant of the given kind, which is its grant_type. scope is
// joined as RFC 6749 section 3.3 has it; with none, no scope is sent. A
// parameter "scope" in params stands for itself and excludes scope.
//
// A kind that is not listed here is sent as it is: servers have grants of their
// own, which need no code of ours.
func New(kind string, params map[string]token.Secret, scope []string) (Grant, error) {
	values, err := gather(params, scope)
	if err != nil {
		return nil, fmt.Errorf("build grant %q: %w", kind, err)
	}
	switch kind {
	case "":
		return nil, errors.New("build grant: a grant needs a grant_type")
	case "client_credentials":
		return clientCredentials{values}, nil
	case "password":
		return newPassword(values)
	case "refresh_token":
		return newRefreshToken(values)
	}
	return custom{kind, values}, nil
}

// parameter is one parameter of a login.
type parameter struct {
	name  string
	value token.Secret
}

// parameters are held as a list: there are two or three of them, and thousands
// of tokens; a map takes several times the room.
type parameters []parameter

func gather(params map[string]token.Secret, scope []string) (parameters, error) {
	all := make(parameters, 0, len(params)+min(len(scope), 1))
	for name, value := range params {
		all = append(all, parameter{name, value})
	}
	if len(scope) > 0 {
		if _, ok := params["scope"]; ok {
			return nil, errors.New("scope is set twice")
		}
		all = append(all, parameter{"scope", token.NewSecret(strings.Join(scope, " "))})
	}
	return all, nil
}

func (p parameters) values() map[string]token.Secret {
	m := make(map[string]token.Secret, len(p))
	for _, one := range p {
		m[one.name] = one.value
	}
	return m
}

func (p parameters) get(name string) token.Secret {
	for _, one := range p {
		if one.name == name {
			return one.value
		}
	}
	return token.Secret{}
}

// need reports the first parameter that a grant can't do without and hasn't.
func (p parameters) need(kind string, names ...string) error {
	for _, name := range names {
		if p.get(name).IsEmpty() {
			return fmt.Errorf("build grant %q: %s is missing", kind, name)
		}
	}
	return nil
}
