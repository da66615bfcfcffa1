package grants

import "github.com/tokend-project/tokend/internal/token"

// password is RFC 6749 section 4.3.
type password struct{ parameters }

func newPassword(all parameters) (Grant, error) {
	if err := all.need("password", "username", "password"); err != nil {
		return nil, err
	}
	return password{all}, nil
}

func (g password) Params() (string, map[string]token.Secret) { return "password", g.values() }
