package kube

import (
	"context"
	"sync"
	"time"
)

// provenFor is how long a proof stands for others.
const provenFor = time.Minute

// proofs remembers what was proven of late.
type proofs struct {
	mu  sync.Mutex
	all map[string]*proof
}

type proof struct {
	turn chan struct{} // holds one while somebody proves
	at   time.Time     // of the last success
}

// Prove calls prove, unless that has succeeded under the same key within the last
// minute: a thousand Secrets of one namespace need the same permissions, and to
// ask a thousand times would delay the tokens themselves. Who asks while somebody
// proves waits for the outcome. A failure is the caller's own and stands for
// nobody else.
func (c *Client) Prove(ctx context.Context, key string, prove func(context.Context) error) error {
	p := c.proofs.get(key)
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if !p.at.IsZero() && time.Since(p.at) < provenFor {
		return nil
	}
	if err := prove(ctx); err != nil {
		return err
	}
	p.at = time.Now()
	return nil
}

func (ps *proofs) get(key string) *proof {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.all[key]
	if p == nil {
		if ps.all == nil {
			ps.all = map[string]*proof{}
		}
		p = &proof{turn: make(chan struct{}, 1)}
		ps.all[key] = p
	}
	return p
}
