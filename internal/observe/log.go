package observe

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/refresher"
)

// Log writes one line per thing that happened. A failure that goes on is one
// thing: its first line is followed by a summary now and then, and by one when it
// is over.
type Log struct {
	logger  *slog.Logger
	words   map[refresher.Kind]line
	failing map[refresher.Kind]string
	over    map[refresher.Kind][]string
	repeats repeats
}

// NewLog returns a Log.
func NewLog(l *slog.Logger) *Log {
	return &Log{logger: l, words: words(), failing: failing(), over: over(), repeats: repeats{open: map[subject]*troubles{}}}
}

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
	e = dated(e)
	unsaid := 0
	if what, ok := l.failing[e.Kind]; ok {
		if ok, unsaid = l.repeats.admit(subjectOf(e, what), e); !ok {
			return
		}
	}
	l.write(e, unsaid)
	for _, what := range l.over[e.Kind] {
		if o, ok := l.repeats.end(subjectOf(e, what), e.At); ok {
			l.recovered(e, what, o)
		}
	}
	if e.Kind == refresher.Retired || e.Kind == refresher.Released {
		l.repeats.forget(e.Token)
	}
}

func (l *Log) write(e refresher.Event, unsaid int) {
	w := l.words[e.Kind]
	ctx := context.Background()
	if !l.logger.Enabled(ctx, w.level) {
		return
	}
	list := attrLists.Get().(*[]slog.Attr)
	attrs := append((*list)[:0], slog.String("event", string(e.Kind)))
	attrs = appendWords(attrs, e)
	if w.level >= slog.LevelWarn {
		if code := problem.OfEvent(string(e.Kind), e.SinkKind, e.Err); code != "" {
			attrs = append(attrs, slog.String("code", code))
		}
	}
	attrs = appendTimes(attrs, e)
	if unsaid > 0 {
		attrs = append(attrs, slog.Int("repeated", unsaid))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", e.Err.Error()))
	}
	// Without a logger's look at its caller, which no line shows.
	record := slog.NewRecord(e.At, w.level, w.text, 0)
	record.AddAttrs(attrs...)
	_ = l.logger.Handler().Handle(ctx, record) // there is nobody to tell
	clear(attrs)
	*list = attrs
	attrLists.Put(list)
}

// attrLists are used again: a record copies what is in them.
var attrLists = sync.Pool{New: func() any { return new([]slog.Attr) }}

// recovered tells that what had failed more than once does no more.
func (l *Log) recovered(e refresher.Event, what string, o ordeal) {
	attrs := []slog.Attr{slog.String("event", "recovered"), slog.String("what", what), slog.String("token", e.Token)}
	if e.Target != "" {
		attrs = append(attrs, slog.String("sink", e.SinkKind), slog.String("target", e.Target))
	}
	attrs = append(attrs, slog.Int("failures", o.count), slog.Duration("lasted", o.lasted.Round(time.Second)))
	l.logger.LogAttrs(context.Background(), slog.LevelInfo, "what had failed works again", attrs...)
}

func appendWords(attrs []slog.Attr, e refresher.Event) []slog.Attr {
	for _, a := range []struct{ key, value string }{
		{"token", e.Token}, {"provider", e.Provider}, {"sink", e.SinkKind}, {"target", e.Target}, {"class", e.Class.String()}, {"detail", e.Detail},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	return attrs
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
		attrs = append(attrs, spelt("took", e.Took))
	}
	if e.SinceAnswer != 0 {
		attrs = append(attrs, spelt("since_answer", e.SinceAnswer))
	}
	return attrs
}
