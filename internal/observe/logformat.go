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
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: durations}
	if format == "auto" && isJournal(w, os.Getenv("JOURNAL_STREAM")) {
		format = "journald"
	}
	switch format {
	case "journald":
		return slog.New(newJournal(w, o))
	case "text":
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

// isJournal tells whether w is the stream that systemd connected to its journal,
// of which it leaves device and inode in the environment (systemd.exec(5),
// $JOURNAL_STREAM). A stream that was redirected since is another one.
func isJournal(w io.Writer, stream string) bool {
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
		return o.ReplaceAttr(groups, a)
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
