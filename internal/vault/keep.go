package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/vault/api"
)

// Run keeps the client's own token alive until ctx ends or the client is closed: it
// renews the token, and logs in again when renewal ends. There is nothing to do
// before the first request logged in. A client works without Run, too; its token
// then ends with its lease, and the next request logs in. Run may be called once at
// a time. It returns within a timeout of a request.
func (c *Client) Run(ctx context.Context) {
	for {
		if s := c.peek(); s != nil {
			c.keep(ctx, s)
		}
		select {
		case <-c.wake:
		case <-c.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (c *Client) peek() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// keep renews one session until it is replaced or ended. It returns when there is
// nothing more to do for it.
func (c *Client) keep(ctx context.Context, s *session) {
	lease := c.lease(ctx, s)
	if lease == nil || lease.LeaseDuration <= 0 { // a root token has no end
		return
	}
	watcher, err := s.lib.NewLifetimeWatcher(&api.LifetimeWatcherInput{Secret: &api.Secret{Auth: lease}})
	if err != nil {
		c.log.ErrorContext(ctx, "tokend's token for Vault isn't renewed", "vault", c.name, "error", err)
		return
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		watcher.Start()
	}()
	ended := c.watch(ctx, s, watcher)
	watcher.Stop()
	<-stopped
	if ended {
		c.renew(ctx, s, lease)
	}
}

// watch reports true when renewal ended, and false when there is no need of it
// any more.
func (c *Client) watch(ctx context.Context, s *session, watcher *api.LifetimeWatcher) (ended bool) {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-c.done:
			return false
		case <-c.wake:
			if c.peek() != s {
				c.nudge()
				return false
			}
		case <-watcher.RenewCh():
			c.log.DebugContext(ctx, "token for Vault renewed", "vault", c.name)
		case err := <-watcher.DoneCh(): // nil even for a dead token
			c.log.DebugContext(ctx, "renewal of the token for Vault ended", "vault", c.name, "error", err)
			return true
		}
	}
}

// nudge has Run look at the current session again.
func (c *Client) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// soonest is how long after a login the next may follow, where the lease is not
// much shorter than that.
const soonest = 2 * time.Second

// renew gets a new token before the old one ends, which serves until then. A lease
// of a few seconds can seem to end as it begins, since the server counts in whole
// ones: that must not make a hot loop of logins.
func (c *Client) renew(ctx context.Context, s *session, lease *api.SecretAuth) {
	if !c.method.logsIn() {
		c.log.WarnContext(ctx, "tokend's token for Vault ends soon and can't be renewed; give it a new one", "vault", c.name, "renewable", lease.Renewable)
		return
	}
	half := time.Duration(lease.LeaseDuration) * time.Second / 2
	if !c.sleep(ctx, time.Until(s.began.Add(min(half, soonest)))) {
		return
	}
	for c.peek() == s {
		_, err := c.fresh(ctx, s, false)
		if err == nil {
			return
		}
		wait := firstPause
		if w, ok := errors.AsType[*waiting](err); ok {
			wait = w.left
		} else {
			c.log.WarnContext(ctx, "new token for Vault not had; the old one ends soon", "vault", c.name, "error", err)
		}
		if !c.sleep(ctx, wait) {
			return
		}
	}
}

// sleep reports false when there is no time left to go on.
func (c *Client) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-c.done:
	}
	return false
}

// lease is what the server granted: known from the login, asked for otherwise. It is
// nil when the server won't tell, or s was replaced.
func (c *Client) lease(ctx context.Context, s *session) *api.SecretAuth {
	if s.auth != nil {
		return s.auth
	}
	for tries := 0; c.peek() == s; tries++ {
		lease, err := c.lookUp(ctx, s)
		if err == nil {
			return lease
		}
		if errors.Is(err, ErrDenied) {
			c.log.InfoContext(ctx, "lease of tokend's token for Vault not known; it isn't renewed", "vault", c.name, "error", err)
			return nil
		}
		if !c.sleep(ctx, growing(tries)) {
			return nil
		}
	}
	return nil
}

func (c *Client) lookUp(ctx context.Context, s *session) (*api.SecretAuth, error) {
	doc, err := c.send(ctx, s.lib, request{op: "look up tokend's token", method: http.MethodGet, path: lookupSelf})
	if err != nil {
		return nil, err
	}
	ttl, err := number(doc.Data["ttl"])
	if err != nil {
		return nil, fmt.Errorf("read ttl of tokend's token: %w", err)
	}
	renewable, _ := doc.Data["renewable"].(bool)
	return &api.SecretAuth{ClientToken: s.lib.Token(), LeaseDuration: ttl, Renewable: renewable}, nil
}
