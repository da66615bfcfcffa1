package app

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
)

// lateLogger is a handler whose destination is known only once the configuration
// was read that describes it. What is logged before goes nowhere: a load reports
// its troubles itself.
type lateLogger struct {
	to   *atomic.Pointer[slog.Logger]
	with []func(slog.Handler) slog.Handler // in order
}

func newLateLogger(l *slog.Logger) *lateLogger {
	late := &lateLogger{to: &atomic.Pointer[slog.Logger]{}}
	late.to.Store(l)
	return late
}

func (l *lateLogger) handler() slog.Handler {
	logger := l.to.Load()
	if logger == nil {
		return slog.DiscardHandler
	}
	h := logger.Handler()
	for _, with := range l.with {
		h = with(h)
	}
	return h
}

// Enabled implements slog.Handler.
func (l *lateLogger) Enabled(ctx context.Context, level slog.Level) bool {
	return l.handler().Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *lateLogger) Handle(ctx context.Context, r slog.Record) error {
	return l.handler().Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *lateLogger) WithAttrs(attrs []slog.Attr) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (l *lateLogger) WithGroup(name string) slog.Handler {
	return l.and(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (l *lateLogger) and(with func(slog.Handler) slog.Handler) slog.Handler {
	return &lateLogger{to: l.to, with: append(slices.Clip(l.with), with)}
}
