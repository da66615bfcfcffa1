package observe_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// kinds reads the constants of refresher.Kind from their source, so that a new
// one is missed here by nobody.
func kinds(t *testing.T) map[string]refresher.Kind {
	t.Helper()
	f, err := parser.ParseFile(gotoken.NewFileSet(), "../refresher/event.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]refresher.Kind{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Kind" {
			return true
		}
		for i, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			found[name.Name] = refresher.Kind(value)
		}
		return true
	})
	if len(found) < 20 {
		t.Fatalf("only %d kinds are found; do they stand elsewhere now?", len(found))
	}
	return found
}

// logged is what one event becomes.
func logged(format string, level slog.Level, e refresher.Event) string {
	var b bytes.Buffer
	observe.NewLog(observe.NewLogger(&b, format, level)).Observe(e)
	return b.String()
}

func TestEveryKindOfEventHasWordsOfItsOwn(t *testing.T) {
	t.Parallel()
	said := map[string]string{}
	for name, kind := range kinds(t) {
		var line struct{ Msg, Level, Event string }
		if err := json.Unmarshal([]byte(logged("json", slog.LevelDebug, refresher.Event{Kind: kind})), &line); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if line.Msg == "" {
			t.Errorf("%s (%q) has no words", name, kind)
		}
		if line.Event != string(kind) {
			t.Errorf("%s is logged as the event %q", name, line.Event)
		}
		if other := said[line.Msg]; other != "" {
			t.Errorf("%s and %s are the same in a log: %q", name, other, line.Msg)
		}
		said[line.Msg] = name
	}
}

func TestLogLines(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		event refresher.Event
		want  string
	}{
		"refresh": {
			refresher.Event{
				Kind: refresher.Refreshed, Token: "operator", Provider: "rator", Generation: 7, At: noon,
				ExpiresAt: noon.Add(time.Hour), Next: noon.Add(45 * time.Minute), Planned: noon.Add(-time.Second), Took: 123456789 * time.Nanosecond,
			},
			`level=INFO msg="token refreshed" event=refreshed token=operator provider=rator generation=7 expires_at=2026-05-04T13:00:00.000Z next_attempt=2026-05-04T12:45:00.000Z planned=2026-05-04T11:59:59.000Z took=123.457ms`,
		},
		"failure": {
			refresher.Event{
				Kind: refresher.AttemptFailed, Token: "operator", Provider: "rator", Class: token.Transient, Next: noon,
				Took: 2 * time.Second, Err: &token.Failure{Class: token.Transient, Reason: "http_status", Status: 503},
			},
			`level=WARN msg="token request failed" event=attempt_failed token=operator provider=rator class=transient code=http_status next_attempt=2026-05-04T12:00:00.000Z took=2s error="token request refused (http_status): HTTP 503"`,
		},
		"sink written": {
			refresher.Event{Kind: refresher.SinkWritten, Token: "operator", SinkKind: "file", Target: "/run/a b", Generation: 7, SinceAnswer: 1500 * time.Microsecond, Took: 90 * time.Microsecond},
			`level=DEBUG msg="sink written" event=sink_written token=operator sink=file target="/run/a b" generation=7 took=90µs since_answer=1.5ms`,
		},
		"sink failed": {
			refresher.Event{Kind: refresher.SinkFailed, Token: "operator", SinkKind: "file", Target: "/run/x", Err: errors.New("no space left on device")},
			`level=ERROR msg="sink not written" event=sink_failed token=operator sink=file target=/run/x code=sink_file error="no space left on device"`,
		},
		"clock": {
			refresher.Event{Kind: refresher.ClockStepped, Detail: "3h0m0s ahead"},
			`level=WARN msg="the clock was stepped, or the machine slept" event=clock_stepped detail="3h0m0s ahead" code=clock_stepped`,
		},
		"an error that tries to forge a line": {
			refresher.Event{Kind: refresher.HookFailed, Token: "operator", Err: errors.New("exit 1\nlevel=INFO msg=\"all is well\"")},
			`level=ERROR msg="on_update command failed" event=hook_failed token=operator code=hook_failed error="exit 1\nlevel=INFO msg=\"all is well\""`,
		},
	} {
		got := logged("text", slog.LevelDebug, c.event)
		_, got, _ = strings.Cut(strings.TrimSuffix(got, "\n"), " ") // the time of the line
		if got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, c.want)
		}
	}
}

func TestLogKeepsToItsLevel(t *testing.T) {
	t.Parallel()
	for kind, from := range map[refresher.Kind]slog.Level{
		refresher.SinkWritten: slog.LevelDebug, refresher.Refreshed: slog.LevelInfo, refresher.AttemptFailed: slog.LevelWarn, refresher.Expired: slog.LevelError,
	} {
		for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			if got, want := logged("json", level, refresher.Event{Kind: kind}) != "", level <= from; got != want {
				t.Errorf("%s at level %s is logged: %t", kind, level, got)
			}
		}
	}
}

func TestDurationsAreWrittenAsPeopleDo(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		90 * time.Minute: "1h30m0s", 1234567 * time.Nanosecond: "1.235ms", 400 * time.Nanosecond: "0s", -time.Second: "-1s", 30 * time.Second: "30s",
	} {
		for _, format := range []string{"text", "json"} {
			var b bytes.Buffer
			l := observe.NewLogger(&b, format, slog.LevelInfo)
			l.With("first", d).WithGroup("g").Info("m", slog.Duration("took", d), slog.Group("h", "deep", d))
			if n := strings.Count(b.String(), want); n != 3 {
				t.Errorf("%d of three durations are %s in %s", n, want, b.String())
			}
		}
	}
}

// An event holds no secret; should one come in an error, as a Secret, it is not
// seen either.
func TestNoSecretIsLogged(t *testing.T) {
	t.Parallel()
	secret := token.NewSecret("canary-7261")
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		l := observe.NewLogger(&b, format, slog.LevelDebug)
		log := observe.NewLog(l)
		for _, kind := range kinds(t) {
			log.Observe(refresher.Event{Kind: kind, Err: &token.Failure{Class: token.Rejected, Err: errors.New("sent " + secret.String())}})
		}
		l.Info("careless", "secret", secret, "token", token.Token{AccessToken: secret}, "record", &token.Record{RefreshToken: secret})
		if strings.Contains(b.String(), "canary") {
			t.Errorf("%s shows a secret: %s", format, b.String())
		}
	}
}
