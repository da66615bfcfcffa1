package observe_test

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
)

func TestJournaldLines(t *testing.T) {
	var b strings.Builder
	l := observe.NewLogger(&b, "journald", slog.LevelDebug)
	l.Debug("sink written", "event", "sink_written", "took", 1500*time.Microsecond)
	l.Info("a", "event", "b")
	l.With("token", "t").WithGroup("g").Warn("w", "time", "kept", "msg", "kept")
	l.Error("two\nlines <3>", "error", "x\n<0>y")
	l.Info("alone")
	want := `<7>sink written event=sink_written took=1.5ms
<6>a event=b
<4>w token=t g.time=kept g.msg=kept
<3>"two\nlines <3>" error="x\n<0>y"
<6>alone
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", &b, want)
	}
}

// systemd names the stream that it connected by device and inode; a stream that
// was redirected since is a file like any other.
func TestAutoIsJournaldWhereTheJournalReads(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	stream := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	for name, c := range map[string]struct {
		stream string
		w      io.Writer
		format string
		begins string
	}{
		"the journal":           {stream, f, "auto", "<6>hello"},
		"chosen":                {"", f, "journald", "<6>hello"},
		"json is json":          {stream, f, "json", `{"time"`},
		"without systemd":       {"", f, "auto", `{"time"`},
		"redirected":            {fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1), f, "auto", `{"time"`},
		"not a file":            {stream, nil, "auto", `{"time"`},
		"text is text, with it": {stream, f, "text", "time="},
	} {
		t.Setenv("JOURNAL_STREAM", c.stream)
		var b strings.Builder
		w := c.w
		if w == nil {
			w = &b
		}
		observe.NewLogger(w, c.format, slog.LevelInfo).Info("hello")
		content, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got := string(content) + b.String(); !strings.HasPrefix(got, c.begins) {
			t.Errorf("%s: %q", name, got)
		}
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
	}
}
