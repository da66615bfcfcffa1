package grants

import "github.com/tokend-project/tokend/internal/token"

// password is RFC 6749 section 4.3.
type password struct{ values map[string]token.Secret }

func newPassword(values map[string]token.Secret) (Grant, error) {
	if err := need("password", values, "username", "password"); err != nil {
		return nil, err
	}
	return password{values}, nil
}

func (g password) Params() (string, map[string]token.Secret) { return "password", g.values }
