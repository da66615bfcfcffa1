package vault

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/tokend-project/tokend/internal/token"
)

// Field reads one field of a KV secret, for the configuration. path begins with the
// mount, and goes on without "data/" whatever the mount's version is; the server is
// asked where the mount's path ends, so that it may hold slashes. The newest version
// is read. A number or a boolean is taken as JSON writes it. ErrNotFound when the
// secret or the field is not there.
func (c *Client) Field(ctx context.Context, path, field string) (token.Secret, error) {
	op := "read field " + field + " of " + path
	clean, err := cleanPath(path)
	if err != nil {
		return token.Secret{}, &Error{Op: op, says: "the path is not valid", kinds: []error{ErrInvalid}, err: err}
	}
	m, err := c.detect(ctx, clean)
	if err != nil {
		return token.Secret{}, err
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(clean, m.path), "/")
	if rest == "" {
		return token.Secret{}, &Error{Op: op, says: "this is the path of a mount, and not of a secret in it", kinds: []error{ErrInvalid}}
	}
	k := c.KV(m.path, 0)
	k.version.Store(int32(m.version))
	e, err := k.Read(ctx, rest)
	switch {
	case errors.Is(err, ErrNotFound) && m.version == 2 && strings.HasPrefix(rest, "data/"):
		return token.Secret{}, &Error{Op: op, says: "nothing is stored there; leave out the \"data/\" of the API's path", kinds: []error{ErrNotFound}}
	case err != nil:
		return token.Secret{}, err
	case e.Deleted:
		return token.Secret{}, &Error{Op: op, says: "the newest version of the secret is deleted", kinds: []error{ErrNotFound}}
	}
	switch v := e.Data[field].(type) {
	case string:
		return token.NewSecret(v), nil
	case json.Number:
		return token.NewSecret(v.String()), nil
	case bool:
		text, _ := json.Marshal(v)
		return token.NewSecret(string(text)), nil
	case nil:
		return token.Secret{}, &Error{Op: op, says: "the secret has no such field", kinds: []error{ErrNotFound}}
	default:
		return token.Secret{}, &Error{Op: op, says: "the field is a list or an object, and not text", kinds: []error{ErrInvalid}}
	}
}
