package vault

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"
)

// session is a token and what is known of it. It is immutable but for regretted,
// which the client's lock guards.
type session struct {
	lib   *api.Client // with the token
	began time.Time
	auth  *api.SecretAuth // of the login; nil for a token that tokend was given
	file  stamp           // of the file that the token was read from
	// regretted: it replaced a token that was denied something, and is denied too.
	regretted bool
}

// flight is one login that any number of requests wait for.
type flight struct {
	done    chan struct{}
	session *session // valid once done is closed, as is err
	err     error
}

const lookupSelf = "auth/token/lookup-self"

// errDenial says that a new token would change nothing: the old one lives.
var errDenial = errors.New("the token is alive and not allowed")

// errDead says that the token has ended and tokend has no way to get another.
var errDead = errors.New("the token is expired or revoked")

// session returns the current token, logging in if there is none.
func (c *Client) session(ctx context.Context) (*session, error) {
	c.mu.Lock()
	s := c.current
	c.mu.Unlock()
	if s != nil && !c.method.changed(s) {
		return s, nil
	}
	next, err := c.fresh(ctx, s, false)
	if err != nil && s != nil {
		return s, nil // what is new in the file can't be had; the old token may do
	}
	return next, err
}

// replace finds a token after s was denied. Its error is errDenial when the server
// says that s lives and a new one was tried too lately.
func (c *Client) replace(ctx context.Context, s *session) (*session, error) {
	return c.fresh(ctx, s, true)
}

// fresh returns a session other than old, from the login that is under way or from
// one of its own. The login goes on when ctx ends: others wait for it too, and a
// credential that can be used once must not be spent for nothing.
func (c *Client) fresh(ctx context.Context, old *session, denied bool) (*session, error) {
	c.mu.Lock()
	if c.current != nil && c.current != old {
		defer c.mu.Unlock()
		return c.current, nil
	}
	f := c.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		detached := context.WithoutCancel(ctx)
		if !c.begin(func() { c.fly(detached, f, old, denied) }) {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		c.flight = f
	}
	c.mu.Unlock()
	select {
	case <-f.done:
		return f.session, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fly decides whether to log in, does it, and publishes the outcome.
func (c *Client) fly(ctx context.Context, f *flight, old *session, denied bool) {
	file := c.method.stamp() // before it is read: a change after that is one more reason to try
	if f.err = c.mayLogin(ctx, old, denied); f.err == nil {
		f.session, f.err = c.method.session(ctx, c)
	}
	retired := c.land(f, old, time.Now(), file)
	close(f.done)
	if f.err != nil {
		return
	}
	c.nudge()
	if retired != nil {
		c.revoke(ctx, retired)
	}
}

// land publishes a flight's outcome and returns the session that it replaces.
func (c *Client) land(f *flight, old *session, now time.Time, file stamp) (retired *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight = nil
	switch paused := (*waiting)(nil); {
	case f.err == nil:
		retired, c.current = c.current, f.session
		c.logins.reset()
	case errors.Is(f.err, errDead):
		// There is no login that would bring another token, but a file may.
		if c.current == old {
			c.current = nil
		}
		c.logins.reset()
		c.logins.extend(now, f.err, firstPause, file)
	case errors.Is(f.err, errDenial), errors.As(f.err, &paused):
	default:
		c.logins.extend(now, f.err, c.method.pause(f.err, c.logins.tries), file)
	}
	return retired
}

// mayLogin says no while a pause lasts, and when old was denied though it lives and
// the last new token didn't help either.
func (c *Client) mayLogin(ctx context.Context, old *session, denied bool) error {
	now, file := time.Now(), c.method.stamp()
	c.mu.Lock()
	pausing := c.logins.left(now, file)
	gated := c.regrets.left(now, stamp{}) != nil
	hopeless := denied && gated && old.regretted
	c.mu.Unlock()
	switch {
	case !denied:
		return pausing
	case pausing != nil, hopeless:
		return errDenial
	case c.dead(ctx, old):
		c.drop(old)
		return c.method.reviveable()
	case gated, !c.method.logsIn():
		return errDenial
	default:
		return nil
	}
}

// dead asks the server about a token that was denied something. Only a 403 is a
// yes: a token without the default policy gets one too, and is then replaced for
// nothing once in a while.
func (c *Client) dead(ctx context.Context, s *session) bool {
	_, err := c.send(ctx, s.lib, request{op: "look up tokend's token", method: http.MethodGet, path: lookupSelf})
	return errors.Is(err, ErrDenied)
}

// drop forgets a dead token, so that no request is wasted on it.
func (c *Client) drop(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == s {
		c.current = nil
	}
}

// settle remembers whether a new token cured a denial.
func (c *Client) settle(s *session, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && !s.regretted:
		c.regrets.reset()
	case errors.Is(err, ErrDenied) && !s.regretted:
		s.regretted = true
		c.regrets.extend(time.Now(), errDenial, growing(c.regrets.tries), stamp{})
	}
}

// revoke gives back a token that this client logged in for. Nobody waits for it but
// Close, and if it fails the token ends with its lease.
func (c *Client) revoke(ctx context.Context, s *session) {
	if s.auth == nil {
		return
	}
	limited, cancel := context.WithTimeout(ctx, min(c.timeout, revokeTimeout))
	defer cancel()
	r := request{op: "revoke tokend's token", method: http.MethodPut, path: "auth/token/revoke-self", body: map[string]any{}}
	if _, err := c.send(limited, s.lib, r); err != nil {
		c.log.DebugContext(ctx, "token of Vault not revoked; it ends with its lease", "vault", c.name, "error", err)
	}
}
