package observe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// NewLogger returns a logger that writes to w: as "json", as "text", as
// "journald", or as "auto", which is journald where the journal of systemd reads
// what is written to w, and otherwise json.
func NewLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if format == "auto" && isJournal(w, os.Getenv("JOURNAL_STREAM")) {
		format = "journald"
	}
	switch format {
	case "journald":
		return slog.New(handler{newJournal(w, o)})
	case "text":
		return slog.New(handler{slog.NewTextHandler(w, o)})
	}
	return slog.New(handler{slog.NewJSONHandler(w, o)})
}

// handler has durations written as people write them rather than in nanoseconds.
// A function of the handlers of slog for that would be asked about everything else
// too.
type handler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if hasDuration(r) {
		spelt := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		r.Attrs(func(a slog.Attr) bool {
			spelt.AddAttrs(spell(a))
			return true
		})
		r = spelt
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(spellAll(attrs))}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name)}
}

// hasDuration reports whether there is, or could be, one in the record.
func hasDuration(r slog.Record) (has bool) {
	r.Attrs(func(a slog.Attr) bool {
		k := a.Value.Kind()
		has = k == slog.KindDuration || k == slog.KindGroup
		return !has
	})
	return has
}

func spell(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindDuration:
		return spelt(a.Key, a.Value.Duration())
	case slog.KindGroup:
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(spellAll(a.Value.Group())...)}
	}
	return a
}

func spellAll(attrs []slog.Attr) []slog.Attr {
	all := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		all[i] = spell(a)
	}
	return all
}

func spelt(key string, d time.Duration) slog.Attr {
	return slog.String(key, d.Round(time.Microsecond).String())
}

// isJournal tells whether w is the stream that systemd connected to its journal,
// of which it leaves device and inode in the environment (systemd.exec(5),
// $JOURNAL_STREAM). A stream that was redirected since is another one.
func isJournal(w io.Writer, stream string) bool {
	if lines, ok := w.(*Lines); ok {
		w = lines.w
	}
	f, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// journal writes lines for the journal: a priority in front (sd-daemon(3)), the
// message as people read it, and what belongs to it as key=value. Time is the
// journal's own.
type journal struct {
	out *journalOut
	to  slog.Handler // writes key=value into out's line
}

// journalOut is where lines are put together, one at a time.
type journalOut struct {
	mu   sync.Mutex
	line bytes.Buffer
	w    io.Writer
}

func newJournal(w io.Writer, o *slog.HandlerOptions) *journal {
	out := &journalOut{w: w}
	bare := *o
	bare.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}
	return &journal{out: out, to: slog.NewTextHandler(&out.line, &bare)}
}

// Enabled implements slog.Handler.
func (j *journal) Enabled(ctx context.Context, level slog.Level) bool {
	return j.to.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (j *journal) Handle(ctx context.Context, r slog.Record) error {
	j.out.mu.Lock()
	defer j.out.mu.Unlock()
	line := &j.out.line
	line.Reset()
	fmt.Fprintf(line, "<%d>%s ", priority(r.Level), plain(r.Message))
	if err := j.to.Handle(ctx, r); err != nil {
		return err
	}
	_, err := j.out.w.Write(append(bytes.TrimRight(line.Bytes(), " \n"), '\n'))
	return err
}

// WithAttrs implements slog.Handler.
func (j *journal) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &journal{out: j.out, to: j.to.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (j *journal) WithGroup(name string) slog.Handler {
	return &journal{out: j.out, to: j.to.WithGroup(name)}
}

// priority is that of syslog(3).
func priority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// plain is a message as it is, unless it would take more than one line.
func plain(message string) string {
	if quoted := strconv.Quote(message); len(quoted) != len(message)+2 {
		return quoted
	}
	return message
}
