package kube

import (
	"context"
	"log/slog"
	"sync"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// klog is one for the whole process, and prints to stderr unless it is told
// otherwise before it is used.
var klogOnce sync.Once //nolint:gochecknoglobals // guards a global of klog's

func redirectKlog(logger *slog.Logger) {
	klogOnce.Do(func() { klog.SetLogger(bridge(logger)) })
}

// bridge makes client-go's log ours. What it has to say concerns its own
// workings; what a person must know is in the errors that come back.
func bridge(logger *slog.Logger) logr.Logger {
	return logr.FromSlogHandler(quiet{logger.Handler().WithAttrs([]slog.Attr{slog.String("source", "client-go")})})
}

// quiet lowers everything to debug.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo && q.Handler.Enabled(ctx, slog.LevelDebug) // below are requests and bodies
}

func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	if !q.Handler.Enabled(ctx, r.Level) { // logr does not ask before it logs an error
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
