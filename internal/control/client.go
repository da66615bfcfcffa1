package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// quickTimeout bounds requests that the daemon answers out of memory.
const quickTimeout = 10 * time.Second

// Client asks a running daemon. Errors are an *UnreachableError when no daemon
// answered, an *Error when it did. Its methods are safe for concurrent use.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client of the daemon at socket. It connects when it is
// first used.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableCompression: true}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the daemon's status with the named tokens, or with all when no
// name is given.
func (c *Client) Status(ctx context.Context, names ...string) (Status, error) {
	var s Status
	err := c.quick(ctx, pathStatus, url.Values{"token": names}, &s)
	return s, err
}

// Names returns the names of all tokens, in order.
func (c *Client) Names(ctx context.Context) ([]string, error) {
	var names []string
	err := c.quick(ctx, pathNames, nil, &names)
	return names, err
}

// Token returns the current access token of name; see [Daemon].
func (c *Client) Token(ctx context.Context, name string, minTTL time.Duration) (token.Token, error) {
	var a tokenAnswer
	if err := c.quick(ctx, named(pathToken, name), url.Values{"min_ttl": {minTTL.String()}}, &a); err != nil {
		return token.Token{}, err
	}
	return a.token(), nil
}

// Refresh asks for a token request and waits for its result, as long as ctx
// allows; see [Daemon].
func (c *Client) Refresh(ctx context.Context, name string, login bool) error {
	query := url.Values{}
	if login {
		query.Set("login", "true")
	}
	return c.ask(ctx, http.MethodPost, named(pathRefresh, name), query, nil)
}

// Wait waits until the named tokens, or all, have at least minTTL left. After
// timeout (0: as long as ctx allows) the error is ErrNotReady and names those
// that have not.
func (c *Client) Wait(ctx context.Context, names []string, minTTL, timeout time.Duration) error {
	query := url.Values{"token": names, "min_ttl": {minTTL.String()}, "timeout": {timeout.String()}}
	return c.ask(ctx, http.MethodGet, pathWait, query, nil)
}

// Reload asks the daemon to load its configuration again, and waits until it
// runs or is refused.
func (c *Client) Reload(ctx context.Context) error {
	return c.ask(ctx, http.MethodPost, pathReload, nil, nil)
}

// Fingerprints describes the running configuration; see [Daemon].
func (c *Client) Fingerprints(ctx context.Context) (Fingerprints, error) {
	var f Fingerprints
	err := c.quick(ctx, pathFingerprints, nil, &f)
	return f, err
}

func named(path, name string) string {
	return strings.Replace(path, "{name}", url.PathEscape(name), 1)
}

func (c *Client) quick(ctx context.Context, path string, query url.Values, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	return c.ask(ctx, http.MethodGet, path, query, answer)
}

func (c *Client) ask(ctx context.Context, method, path string, query url.Values, answer any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://tokend"+path, nil)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	r.URL.RawQuery = query.Encode()
	response, err := c.http.Do(r)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return c.refusal(response)
	}
	if answer == nil {
		_, err = io.Copy(io.Discard, response.Body)
	} else {
		err = json.NewDecoder(response.Body).Decode(answer)
	}
	if err != nil {
		return c.unreachable(fmt.Errorf("read the answer: %w", err))
	}
	return nil
}

func (c *Client) refusal(response *http.Response) error {
	e := new(Error)
	err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(e)
	if err != nil || e.Code == "" {
		return &Error{Code: CodeFailed, Message: fmt.Sprintf("the daemon at %s answered with HTTP status %d and without a reason", c.socket, response.StatusCode)}
	}
	return e
}

// UnreachableError says that no daemon answered at the socket, and what to do
// about it.
type UnreachableError struct {
	Socket string
	Err    error
}

func (c *Client) unreachable(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its text is the request's URL, which nobody typed
	}
	return &UnreachableError{Socket: c.socket, Err: err}
}

func (e *UnreachableError) Error() string {
	const hint = "is tokend running? --socket or --config names another socket"
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		return fmt.Sprintf("no daemon at %s: there is no such socket: %s", e.Socket, hint)
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no daemon at %s: nobody listens there any more: %s", e.Socket, hint)
	case errors.Is(e.Err, fs.ErrPermission):
		return fmt.Sprintf("no way to the daemon at %s: permission denied: run this as the daemon's user or root, or as a member of the group that control.group names", e.Socket)
	case errors.Is(e.Err, context.DeadlineExceeded):
		return fmt.Sprintf("the daemon at %s did not answer in time", e.Socket)
	}
	return fmt.Sprintf("no answer from the daemon at %s: %v", e.Socket, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }
