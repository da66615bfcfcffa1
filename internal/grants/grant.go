package grants

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

// Grant says what a login sends. It is immutable and safe for concurrent use;
// the map that Params returns is not to be written to.
type Grant interface {
	// Params returns the grant_type of a login and its parameters. They hold no
	// client authentication, which is the endpoint's business.
	Params() (grantType string, values map[string]token.Secret)
}

// New builds the grant of the given kind, which is its grant_type. scope is
// joined as RFC 6749 section 3.3 has it; with none, no scope is sent. A
// parameter "scope" in params stands for itself and excludes scope.
//
// A kind that is not listed here is sent as it is: servers have grants of their
// own, which need no code of ours.
func New(kind string, params map[string]token.Secret, scope []string) (Grant, error) {
	values, err := withScope(params, scope)
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

// withScope returns a copy, so that a caller's map may change.
func withScope(params map[string]token.Secret, scope []string) (map[string]token.Secret, error) {
	if len(scope) == 0 {
		return maps.Clone(params), nil
	}
	if _, ok := params["scope"]; ok {
		return nil, errors.New("scope is set twice")
	}
	values := make(map[string]token.Secret, len(params)+1)
	maps.Copy(values, params)
	values["scope"] = token.NewSecret(strings.Join(scope, " "))
	return values, nil
}

// need reports the parameters that a grant can't do without.
func need(kind string, values map[string]token.Secret, names ...string) error {
	for _, name := range names {
		if values[name].IsEmpty() {
			return fmt.Errorf("build grant %q: %s is missing", kind, name)
		}
	}
	return nil
}
