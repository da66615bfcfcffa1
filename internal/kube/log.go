package kube

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// klogs is where klog goes. klog is one for the whole process, prints to stderr
// unless it is told otherwise, and can be told safely only before there are
// goroutines that log.
var klogs = takeKlog() //nolint:gochecknoglobals // a global of klog's

func takeKlog() *atomic.Pointer[slog.Handler] {
	to := &atomic.Pointer[slog.Handler]{}
	klog.SetLogger(logr.FromSlogHandler(late{to: to}))
	return to
}

// redirectKlog lets klog's words go to the first logger that there is.
func redirectKlog(logger *slog.Logger) {
	var h slog.Handler = quiet{logger.Handler().WithAttrs([]slog.Attr{slog.String("source", "client-go")})}
	klogs.CompareAndSwap(nil, &h)
}

// late is a handler that is known only later; until then everything is dropped.
type late struct {
	to   *atomic.Pointer[slog.Handler]
	with []func(slog.Handler) slog.Handler
}

func (l late) Enabled(ctx context.Context, level slog.Level) bool {
	h := l.to.Load()
	return h != nil && (*h).Enabled(ctx, level)
}

func (l late) Handle(ctx context.Context, r slog.Record) error {
	p := l.to.Load()
	if p == nil {
		return nil
	}
	h := *p
	for _, with := range l.with {
		h = with(h)
	}
	return h.Handle(ctx, r)
}

func (l late) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (l late) WithGroup(name string) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l late) and(with func(slog.Handler) slog.Handler) slog.Handler {
	return late{to: l.to, with: append(slices.Clip(l.with), with)}
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
