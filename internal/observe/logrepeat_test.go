package observe_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/observe"
	"github.com/tokend-project/tokend/internal/refresher"
)

// diary is a log of events at instants that a test chooses.
type diary struct {
	out bytes.Buffer
	log *observe.Log
	at  time.Time
}

func newDiary() *diary {
	d := &diary{at: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)}
	d.log = observe.NewLog(observe.NewLogger(&d.out, "journald", slog.LevelInfo))
	return d
}

// says returns the lines of what happens after a while.
func (d *diary) says(after time.Duration, e refresher.Event) []string {
	d.at = d.at.Add(after)
	e.At = d.at
	d.out.Reset()
	d.log.Observe(e)
	return strings.Split(strings.TrimSpace(d.out.String()), "\n")
}

func failed(token, words string) refresher.Event {
	return refresher.Event{Kind: refresher.AttemptFailed, Token: token, Err: errors.New(words)}
}

func TestAFailureThatGoesOnIsSummarised(t *testing.T) {
	d := newDiary()
	lines, repeated := 0, []string{}
	for i := range 4 * 360 { // every ten seconds, for four hours; each from another port
		for _, line := range d.says(10*time.Second, failed("a", fmt.Sprintf("dial tcp 127.0.0.1:%d: refused", 40000+i))) {
			if line != "" {
				lines++
				_, rest, _ := strings.Cut(line+" ", "repeated=")
				n, _, _ := strings.Cut(rest, " ")
				repeated = append(repeated, n)
			}
		}
	}
	// At once, after one minute, five more, thirty more, and then each hour.
	if want := []string{"", "5", "29", "179", "359", "359", "359"}; fmt.Sprint(repeated) != fmt.Sprint(want) {
		t.Errorf("%d lines that tell of %q, want %q", lines, repeated, want)
	}
	got := d.says(time.Second, refresher.Event{Kind: refresher.LoggedIn, Token: "a"})
	if len(got) != 2 || !strings.Contains(got[1], "event=recovered what=request token=a failures=1440 lasted=3h59m51s") || !strings.HasPrefix(got[1], "<6>") {
		t.Errorf("at the end: %q", got)
	}
	if got := d.says(time.Second, failed("a", "dial tcp 127.0.0.1:1: refused")); got[0] == "" {
		t.Error("the next failure is not told of")
	}
}

func TestOtherFailuresAreToldOfAtOnce(t *testing.T) {
	d := newDiary()
	for what, e := range map[string]refresher.Event{
		"a failure": failed("a", "refused"), "another token": failed("b", "refused"), "other words": failed("a", "no such host"),
		"another kind":    {Kind: refresher.HookFailed, Token: "a", Err: errors.New("refused")},
		"a sink":          {Kind: refresher.SinkFailed, Token: "a", SinkKind: "file", Target: "/1", Err: errors.New("refused")},
		"another sink":    {Kind: refresher.SinkFailed, Token: "a", SinkKind: "file", Target: "/2", Err: errors.New("refused")},
		"the sink's kind": {Kind: refresher.SinkFailed, Token: "a", SinkKind: "vault_kv", Target: "/1", Err: errors.New("refused")},
	} {
		if got := d.says(time.Second, e); got[0] == "" {
			t.Errorf("%s is not told of", what)
		}
		if got := d.says(time.Second, e); got[0] != "" {
			t.Errorf("%s is told of twice: %q", what, got)
		}
	}
}

func TestServerThatFailsInEverNewWordsDoesNotFloodTheLog(t *testing.T) {
	d := newDiary()
	lines := 0
	for i := range 10000 {
		if got := d.says(time.Millisecond, failed("a", strings.Repeat("x", i))); got[0] != "" {
			lines++
		}
	}
	if lines != 8 {
		t.Errorf("%d lines", lines)
	}
}

func TestRecoveryIsOfWhatFailed(t *testing.T) {
	written := refresher.Event{Kind: refresher.SinkWritten, Token: "a", SinkKind: "file", Target: "/1"}
	d := newDiary()
	sink := func(target string) refresher.Event {
		return refresher.Event{Kind: refresher.SinkFailed, Token: "a", SinkKind: "file", Target: target, Err: errors.New("no space")}
	}
	for range 2 {
		d.says(time.Second, sink("/1"))
		d.says(time.Second, sink("/2"))
		d.says(time.Second, failed("a", "refused"))
	}
	if got := d.says(time.Second, written); len(got) != 1 || !strings.Contains(got[0], "what=sink token=a sink=file target=/1 failures=2") {
		t.Errorf("a sink that is written again: %q", got)
	}
	if got := d.says(time.Second, written); got[0] != "" {
		t.Errorf("told of twice: %q", got)
	}
	d.says(time.Second, refresher.Event{Kind: refresher.Retired, Token: "a"})
	if got := d.says(time.Second, refresher.Event{Kind: refresher.LoggedIn, Token: "a"}); len(got) != 1 {
		t.Errorf("what a retired token had lives on: %q", got)
	}
	// One failure and its end tell of themselves.
	d.says(time.Second, failed("b", "refused"))
	if got := d.says(time.Second, refresher.Event{Kind: refresher.Refreshed, Token: "b"}); len(got) != 1 {
		t.Errorf("after one failure: %q", got)
	}
}

func TestFailureOfLongAgoIsNotPartOfTheNext(t *testing.T) {
	d := newDiary()
	state := refresher.Event{Kind: refresher.StateFailed, Token: "a", Err: errors.New("no space")}
	for range 3 {
		d.says(time.Second, state)
	}
	if got := d.says(3*time.Hour, state); got[0] == "" || strings.Contains(got[0], "repeated") {
		t.Errorf("hours later: %q", got)
	}
}
