package control

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// What the socket grants a client. Requests have no body, and their largest
// part is a list of names.
const (
	maxConnections = 256
	maxHeaderBytes = 64 << 10
	headerTimeout  = 5 * time.Second
	idleTimeout    = time.Minute
	writeTimeout   = 10 * time.Second
	drainTimeout   = 2 * time.Second
)

// Options says where the daemon listens and for whom.
type Options struct {
	Socket string       // path of the unix socket
	Group  string       // group, by name or number, whose members may connect too; empty for none
	Daemon Daemon       // what answers
	Logger *slog.Logger // required
}

// Serve listens on the socket and answers until ctx is done; see [Listen] and
// [Server.Serve].
func Serve(ctx context.Context, o Options) error {
	s, err := Listen(ctx, o)
	if err != nil {
		return err
	}
	return s.Serve(ctx)
}

// Server is a bound socket. Clients may connect at once; they are answered once
// it is served.
type Server struct {
	options  Options
	listener *guarded
	file     os.FileInfo // the socket's, to tell it from one that replaced it
}

// Listen creates the socket and its directory. A socket that a dead daemon left
// is replaced; for one that answers the error is an *InUseError. A caller that
// does not get to [Server.Serve] calls [Server.Close].
func Listen(ctx context.Context, o Options) (*Server, error) {
	p := policy{uid: uint32(os.Geteuid()), groupsOf: groupsOf}
	if o.Group != "" {
		gid, err := lookupGroup(o.Group)
		if err != nil {
			return nil, err
		}
		p.gid = &gid
	}
	l, err := listen(ctx, o.Socket, p.gid)
	if err != nil {
		return nil, err
	}
	file, err := os.Lstat(o.Socket)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("check the control socket: %w", err), l.Close())
	}
	g := &guarded{UnixListener: l, policy: p, slots: make(chan struct{}, maxConnections), logger: o.Logger}
	return &Server{options: o, listener: g, file: file}, nil
}

// Serve answers until ctx is done, then lets short answers finish, ends waiting
// ones with [ErrStopping] and removes the socket. It returns nil after a
// shutdown.
func (s *Server) Serve(ctx context.Context) error {
	serving, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	server := &http.Server{
		Handler:           handler(s.options.Daemon),
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return serving },
		ConnContext:       withRefusal,
	}
	drained := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(drained)
		stop(ErrStopping)
		drain(server)
	})
	err := server.Serve(s.listener)
	if !unhook() {
		<-drained
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, s.Close())
}

func drain(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

// Close stops listening and removes the socket, unless another one has taken
// its place. It may be called more than once.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close the control socket: %w", err)
	}
	if now, err := os.Lstat(s.options.Socket); err == nil && os.SameFile(now, s.file) {
		_ = os.Remove(s.options.Socket)
	}
	return nil
}

// refusalKey is where the verdict on the peer stands in a request's context.
type refusalKey struct{}

func withRefusal(ctx context.Context, c net.Conn) context.Context {
	if guarded, ok := c.(*conn); ok && guarded.refusal == nil {
		return ctx
	} else if ok {
		return context.WithValue(ctx, refusalKey{}, guarded.refusal)
	}
	return context.WithValue(ctx, refusalKey{}, fmt.Errorf("%w: the peer is unknown", ErrForbidden))
}
