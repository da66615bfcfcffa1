package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/page"
)

// listen binds the address of the http block and returns what serves it until
// its context ends. Without the block there is nothing to serve.
func (a *App) listen() (func(context.Context) error, error) {
	if a.fixed.http.Address == "" {
		return func(context.Context) error { return nil }, nil
	}
	l, err := net.Listen("tcp", a.fixed.http.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for http: %w", err)
	}
	server := &http.Server{
		Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.logger.Handler(), slog.LevelDebug),
	}
	return func(ctx context.Context) error {
		stop := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer stop()
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

// routes is the list of what the address of the http block serves.
func (a *App) routes() http.Handler {
	mux := http.NewServeMux()
	health := observe.Handler(a.refresher, a.replicas.trouble)
	mux.Handle("/healthz", health)
	mux.Handle("/readyz", health)
	mux.Handle("/readyz/", health)
	mux.Handle("GET /metrics", a.metrics.Handler(watched{a}))
	mux.Handle("/", page.Handler(a, a.timeline))
	return mux
}
