package grants

import "github.com/tokend-project/tokend/internal/token"

// clientCredentials is RFC 6749 section 4.4: the client's own authentication is
// all there is to say.
type clientCredentials struct{ parameters }

func (g clientCredentials) Params() (string, map[string]token.Secret) {
	return "client_credentials", g.values()
}
