package control

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// guarded hands out connections with the verdict on their peer, and no more
// than it has slots for: a connection over the limit is closed at once, so that
// those who hold the others can't make the daemon run out of descriptors.
type guarded struct {
	*net.UnixListener
	policy policy
	slots  chan struct{}
	logger *slog.Logger
}

// conn is a connection whose peer was checked when it was accepted.
type conn struct {
	*net.UnixConn
	refusal error // nil when the peer may use the socket
	release func()
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	defer c.release()
	return c.UnixConn.Close()
}

// Accept implements [net.Listener].
func (g *guarded) Accept() (net.Conn, error) {
	for {
		c, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		select {
		case g.slots <- struct{}{}:
			return &conn{UnixConn: c, refusal: g.refusal(c), release: sync.OnceFunc(func() { <-g.slots })}, nil
		default:
			g.logger.Warn("connection to the control socket closed: too many are open", "limit", cap(g.slots))
			_ = c.Close()
		}
	}
}

func (g *guarded) refusal(c *net.UnixConn) error {
	peer, err := peerOf(c)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if err := g.policy.check(peer); err != nil {
		g.logger.Warn("connection to the control socket refused", "pid", peer.PID, "uid", peer.UID, "gid", peer.GID, "error", err)
		return err
	}
	return nil
}
