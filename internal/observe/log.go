package observe

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
)

// NewLogger returns a logger that writes to w, as "json" or as "text".
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: durations}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(w, o))
}

// durations are logged as people write them rather than in nanoseconds.
func durations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().Round(time.Microsecond).String())
	}
	return a
}

// Log writes one line per event.
type Log struct{ logger *slog.Logger }

// NewLog returns a Log.
func NewLog(l *slog.Logger) *Log { return &Log{logger: l} }

// words is what an event is called in a log line, and how much it matters.
func words(k refresher.Kind) (slog.Level, string) {
	switch k {
	case refresher.Refreshed:
		return slog.LevelInfo, "token refreshed"
	case refresher.LoggedIn:
		return slog.LevelInfo, "logged in"
	case refresher.Resumed:
		return slog.LevelDebug, "stored token taken up"
	case refresher.AttemptFailed:
		return slog.LevelWarn, "token request failed"
	case refresher.RefreshDenied:
		return slog.LevelWarn, "refresh token refused; logging in anew"
	case refresher.NeedsHuman:
		return slog.LevelError, "a person must put a new refresh token into the configuration"
	case refresher.Salvaged:
		return slog.LevelWarn, "unusable answer; its refresh token was kept"
	case refresher.Odd:
		return slog.LevelDebug, "the server deviates from the protocol"
	case refresher.Expired:
		return slog.LevelError, "access token expired before a new one was had"
	case refresher.StateFailed:
		return slog.LevelError, "state not saved"
	case refresher.SinkWritten:
		return slog.LevelDebug, "sink written"
	case refresher.SinkUnchanged:
		return slog.LevelDebug, "sink holds it already"
	case refresher.SinkRepaired:
		return slog.LevelWarn, "sink was changed by somebody else and put back"
	case refresher.SinkFight:
		return slog.LevelError, "somebody keeps changing the sink; repairs slow down"
	case refresher.SinkFailed:
		return slog.LevelError, "sink not written"
	case refresher.HookRan:
		return slog.LevelInfo, "on_update command ran"
	case refresher.HookFailed:
		return slog.LevelError, "on_update command failed"
	case refresher.ProbeRefused:
		return slog.LevelWarn, "the resource refused the token"
	case refresher.ProbeFailed:
		return slog.LevelWarn, "the resource could not be asked"
	case refresher.Throttled:
		return slog.LevelWarn, "the provider asks for fewer requests"
	case refresher.ClockStepped:
		return slog.LevelWarn, "the clock was stepped, or the machine slept"
	case refresher.Retired:
		return slog.LevelInfo, "token retired"
	case refresher.Panicked:
		return slog.LevelError, "a defect in tokend was caught"
	default:
		return slog.LevelInfo, string(k)
	}
}

// Observe implements refresher.Observer.
func (l *Log) Observe(e refresher.Event) {
	level, message := words(e.Kind)
	ctx := context.Background()
	if !l.logger.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String("event", string(e.Kind)))
	for _, a := range []struct{ key, value string }{
		{"token", e.Token}, {"provider", e.Provider}, {"sink", e.SinkKind}, {"target", e.Target}, {"class", e.Class.String()}, {"detail", e.Detail},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	attrs = appendTimes(attrs, e)
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	l.logger.LogAttrs(ctx, level, message, attrs...)
}

func appendTimes(attrs []slog.Attr, e refresher.Event) []slog.Attr {
	if e.Generation != 0 {
		attrs = append(attrs, slog.Uint64("generation", e.Generation))
	}
	for _, a := range []struct {
		key  string
		time time.Time
	}{{"expires_at", e.ExpiresAt}, {"next_attempt", e.Next}, {"planned", e.Planned}} {
		if !a.time.IsZero() {
			attrs = append(attrs, slog.Time(a.key, a.time))
		}
	}
	if e.Took != 0 {
		attrs = append(attrs, slog.Duration("took", e.Took))
	}
	if e.SinceAnswer != 0 {
		attrs = append(attrs, slog.Duration("since_answer", e.SinceAnswer))
	}
	return attrs
}
