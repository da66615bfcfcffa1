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
type Log struct {
	logger *slog.Logger
	words  map[refresher.Kind]line
}

// NewLog returns a Log.
func NewLog(l *slog.Logger) *Log { return &Log{logger: l, words: words()} }

// words is what an event is called in a log line, and how much it matters.
func words() map[refresher.Kind]line {
	return map[refresher.Kind]line{
		refresher.Refreshed:     {slog.LevelInfo, "token refreshed"},
		refresher.LoggedIn:      {slog.LevelInfo, "logged in"},
		refresher.Resumed:       {slog.LevelDebug, "stored token taken up"},
		refresher.AttemptFailed: {slog.LevelWarn, "token request failed"},
		refresher.RefreshDenied: {slog.LevelWarn, "refresh token refused; logging in anew"},
		refresher.NeedsHuman:    {slog.LevelError, "a person must put a new refresh token into the configuration"},
		refresher.Salvaged:      {slog.LevelWarn, "unusable answer; its refresh token was kept"},
		refresher.Odd:           {slog.LevelDebug, "the server deviates from the protocol"},
		refresher.Expired:       {slog.LevelError, "access token expired before a new one was had"},
		refresher.StateFailed:   {slog.LevelError, "state not saved"},
		refresher.SinkWritten:   {slog.LevelDebug, "sink written"},
		refresher.SinkUnchanged: {slog.LevelDebug, "sink holds it already"},
		refresher.SinkRepaired:  {slog.LevelWarn, "sink was changed by somebody else and put back"},
		refresher.SinkFight:     {slog.LevelError, "somebody keeps changing the sink; repairs slow down"},
		refresher.SinkFailed:    {slog.LevelError, "sink not written"},
		refresher.HookRan:       {slog.LevelInfo, "on_update command ran"},
		refresher.HookFailed:    {slog.LevelError, "on_update command failed"},
		refresher.ProbeRefused:  {slog.LevelWarn, "the resource refused the token"},
		refresher.ProbeFailed:   {slog.LevelWarn, "the resource could not be asked"},
		refresher.Throttled:     {slog.LevelWarn, "the provider asks for fewer requests"},
		refresher.ClockStepped:  {slog.LevelWarn, "the clock was stepped, or the machine slept"},
		refresher.Retired:       {slog.LevelInfo, "token retired"},
		refresher.Released:      {slog.LevelInfo, "another replica keeps the token from now on"},
		refresher.Fenced:        {slog.LevelWarn, "another owner has written the token's record; what was obtained here is dropped"},
		refresher.Panicked:      {slog.LevelError, "a defect in tokend was caught"},
	}
}

type line struct {
	level slog.Level
	text  string
}

// Observe implements refresher.Observer.
func (l *Log) Observe(e refresher.Event) {
	w := l.words[e.Kind]
	ctx := context.Background()
	if !l.logger.Enabled(ctx, w.level) {
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
	l.logger.LogAttrs(ctx, w.level, w.text, attrs...)
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
