package tokenserver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// Addresses is the one line of JSON that a server process prints once it listens.
type Addresses struct {
	Token string `json:"token"` // host:port of the token endpoint, which is at /token
	Admin string `json:"admin"` // host:port of the admin interface
}

// Run serves until ctx is done. It prints its [Addresses] to out.
func Run(ctx context.Context, lifetime time.Duration, out io.Writer) error {
	s, err := New(lifetime)
	if err != nil {
		return err
	}
	defer s.Close()
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the driver: %w", err)
	}
	admin := &http.Server{Handler: s.Admin(), ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = admin.Close() })
	defer stop()
	if err := json.NewEncoder(out).Encode(Addresses{Token: s.Address(), Admin: l.Addr().String()}); err != nil {
		return fmt.Errorf("printing the addresses: %w", err)
	}
	if err := admin.Serve(l); ctx.Err() == nil {
		return fmt.Errorf("serving the driver: %w", err)
	}
	return nil
}
