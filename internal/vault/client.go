package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"
)

const revokeTimeout = 5 * time.Second

// Client talks to one server, or one cluster. It is safe for concurrent use.
type Client struct {
	name    string
	timeout time.Duration
	log     *slog.Logger
	road    *road
	lib     *api.Client // without a token; sessions are shallow copies with one
	method  *method

	wake chan struct{} // tells Run that the session changed
	done chan struct{} // closed by Close
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	mounts  map[place]*KV
	current *session
	flight  *flight
	logins  pause // after logins that failed
	regrets pause // after a new token that was denied like the old one
}

// New makes no request. It reads the TLS files; its error names what is wrong with
// the options, and no secret.
func New(o Options) (*Client, error) {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Timeout < 0 {
		return nil, errors.New("timeout must not be negative")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r, err := newRoad(o)
	if err != nil {
		return nil, err
	}
	m, err := newMethod(o.Auth, o.TLS)
	if err != nil {
		return nil, fmt.Errorf("read auth: %w", err)
	}
	lib, err := newLibrary(r, o)
	if err != nil {
		return nil, err
	}
	return &Client{
		name: o.Name, timeout: o.Timeout, log: o.Logger, road: r, lib: lib, method: m,
		wake: make(chan struct{}, 1), done: make(chan struct{}), mounts: map[place]*KV{},
	}, nil
}

// Close ends Run, revokes the token if this client logged in for it, and drops all
// connections. It takes at most five seconds, and a timeout of a request when one
// is under way. A request after Close is ErrClosed.
func (c *Client) Close() {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if !already {
		close(c.done)
	}
	c.wg.Wait()
	c.mu.Lock()
	last := c.current
	c.current = nil
	c.mu.Unlock()
	if last != nil {
		c.revoke(context.Background(), last)
	}
	c.road.transport.CloseIdleConnections()
}

// begin runs f in a goroutine that Close waits for. It reports false after Close.
// The lock is held.
func (c *Client) begin(f func()) bool {
	if !c.closed {
		c.wg.Go(f)
	}
	return !c.closed
}

// do sends a request with the current token. A 403 has the token replaced, where
// that promises anything, and the request sent once more.
func (c *Client) do(ctx context.Context, r request) (document, error) {
	s, err := c.session(ctx)
	if err != nil {
		return document{}, c.notLoggedIn(ctx, r, err)
	}
	doc, err := c.send(ctx, s.lib, r)
	if !errors.Is(err, ErrDenied) {
		return doc, err
	}
	next, why := c.replace(ctx, s)
	switch {
	case next != nil:
		doc, err = c.send(ctx, next.lib, r)
		c.settle(next, err)
		return doc, err
	case errors.Is(why, errDenial):
		return doc, err
	default:
		return document{}, c.notLoggedIn(ctx, r, why)
	}
}

func (c *Client) notLoggedIn(ctx context.Context, r request, why error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", r.op, context.Cause(ctx))
	}
	if errors.Is(why, ErrClosed) {
		return &Error{Op: r.op, says: "the client of this server is closed", kinds: []error{ErrClosed}}
	}
	e := unsent(r, "tokend is not logged in to this server", why, ErrLogin)
	if w, ok := errors.AsType[*waiting](why); ok {
		e.after = w.left
	}
	return e
}

// send sends a request once, with the token of lib. Its error is an [*Error], or
// what ended ctx.
func (c *Client) send(ctx context.Context, lib *api.Client, r request) (document, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return document{}, &Error{Op: r.op, says: "the data can't be written as JSON", kinds: []error{ErrInvalid}}
		}
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := emit(limited, lib, r, body)
	if resp != nil {
		defer func() { _ = resp.Body.Close() }()
	}
	return judge(r, resp, err)
}
