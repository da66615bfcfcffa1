package app

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/ha"
)

const (
	// handOver bounds how long a shard's tokens may take to finish what they have
	// in flight before the Lease is given back without them.
	handOver = 10 * time.Second

	takeUpFirst = time.Second // between two tries to take up what is newly owned
	takeUpLast  = 15 * time.Second
)

// replicas is this daemon's part among several that share the tokens.
type replicas struct {
	*ha.Group
	app     *App
	changed chan struct{}
}

// join makes the daemon one of several, as the ha block says.
func (a *App) join(c *config.HA) (*replicas, error) {
	client, err := a.clients.kubernetes(&c.Kubernetes)
	if err != nil {
		return nil, err
	}
	a.clients.keep(client)
	r := &replicas{app: a, changed: make(chan struct{}, 1)}
	namespace, identity := c.Namespace, c.Identity
	if namespace == "" {
		namespace = client.Namespace()
	}
	if identity == "" {
		identity, _ = os.Hostname() // in a pod, its name; the group adds something random in any case
	}
	r.Group, err = ha.New(ha.Options{
		Client: client.Coordination(), Namespace: namespace, Name: c.Name, Identity: identity, Shards: c.Shards,
		LeaseDuration: c.LeaseDuration, RenewEvery: c.RenewEvery, Logger: a.logger,
		Release: r.release, Changed: r.rouse,
	})
	if err != nil {
		return nil, fmt.Errorf("ha %q: %w", "kubernetes", err)
	}
	return r, nil
}

func (r *replicas) rouse() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// release lets go of the tokens of a shard and waits for what they have in
// flight, before the Lease goes.
func (r *replicas) release(ctx context.Context, shard int) {
	ctx, cancel := context.WithTimeout(ctx, handOver)
	defer cancel()
	err := r.app.refresher.Reown(ctx)
	if err == nil {
		err = r.app.refresher.Settle(ctx)
	}
	if err != nil {
		r.app.logger.Warn("a shard is given up before all of its tokens were settled", "event", "shard_released", "shard", shard, "error", err)
	}
}

// follow takes up and lets go of tokens as shards come and go. Where the state
// cannot be read, it tries again until it can.
func (r *replicas) follow(ctx context.Context) {
	wait := takeUpFirst
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.changed:
		case <-again:
		}
		again = nil
		if err := r.app.refresher.Reown(ctx); err != nil && ctx.Err() == nil {
			r.app.logger.Error("the tokens of this replica's shards could not be taken up", "event", "take_up_failed", "retry_in", wait, "error", err)
			again = time.After(wait)
			wait = min(2*wait, takeUpLast)
			continue
		}
		wait = takeUpFirst
	}
}

// trouble says why this replica could not take over from another; it is empty
// when it could, and where there is one replica only.
func (r *replicas) trouble() string {
	if r == nil {
		return ""
	}
	return r.Status().Problem
}

// status is nil where there is one replica only.
func (r *replicas) status() *control.HAStatus {
	if r == nil {
		return nil
	}
	s := control.HAStatus(r.Status())
	return &s
}
