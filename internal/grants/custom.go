package grants

import "github.com/tokend-project/tokend/internal/token"

// custom is an extension grant (RFC 6749 section 4.5), or a server's own: its
// name and its parameters are sent as they are.
type custom struct {
	kind string
	parameters
}

func (g custom) Params() (string, map[string]token.Secret) { return g.kind, g.values() }
