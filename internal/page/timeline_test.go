package page_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/page"
	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

func kinds(t *testing.T) (all []refresher.Kind) {
	t.Helper()
	text, err := os.ReadFile("../refresher/event.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\w+\s+Kind = "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, refresher.Kind(m[1]))
	}
	if len(all) < 20 {
		t.Fatalf("only %d kinds are found", len(all))
	}
	return all
}

func TestEveryKindOfEventHasWordsAndACode(t *testing.T) {
	t.Parallel()
	aside := map[refresher.Kind]bool{refresher.SinkUnchanged: true, refresher.Retired: true, refresher.ClockStepped: true}
	for _, kind := range kinds(t) {
		tl := page.NewTimeline()
		tl.Observe(refresher.Event{Kind: kind, Token: "a"})
		got := tl.Of("a")
		if aside[kind] {
			continue
		}
		if len(got) != 1 || got[0].Text == "" || got[0].Text == strings.ReplaceAll(string(kind), "_", " ") {
			t.Errorf("%s has no words: %+v", kind, got)
			continue
		}
		if _, ok := problem.Find(got[0].Code); !ok && got[0].Level != "info" {
			t.Errorf("%s has the code %q, which is not explained", kind, got[0].Code)
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		event        refresher.Event
		detail, code string
	}{
		"refresh": {refresher.Event{Kind: refresher.Refreshed, Took: 123456 * time.Microsecond}, "answered in 123ms", ""},
		"request": {
			refresher.Event{Kind: refresher.AttemptFailed, Class: token.NotSent, Err: &token.Failure{Class: token.NotSent, Reason: "dial"}},
			"token request not sent (dial)", "dial",
		},
		"a code of the server's own": {
			refresher.Event{Kind: refresher.AttemptFailed, Class: token.Rejected, Err: &token.Failure{Class: token.Rejected, Reason: "oauth_error", Code: "E1"}},
			"token request refused (oauth_error): E1", "oauth_error",
		},
		"a code of OAuth": {
			refresher.Event{Kind: refresher.AttemptFailed, Class: token.Rejected, Err: &token.Failure{Class: token.Rejected, Reason: "oauth_error", Code: "invalid_grant"}},
			"token request refused (oauth_error): invalid_grant", "invalid_grant",
		},
		"sink written": {refresher.Event{Kind: refresher.SinkWritten, SinkKind: "file", Target: "/run/x", SinceAnswer: 1234 * time.Microsecond}, "file /run/x: 1.23ms after the answer", ""},
		"sink failed":  {refresher.Event{Kind: refresher.SinkFailed, SinkKind: "file", Target: "/run/x", Err: errors.New("full\x1b[2J\ndisk")}, "file /run/x: full [2J disk", "sink_file"},
		"panic":        {refresher.Event{Kind: refresher.Panicked, Err: errors.New("a defect"), Detail: "goroutine 1 [running]"}, "a defect", "panic"},
		"pause":        {refresher.Event{Kind: refresher.Throttled, Took: 90 * time.Second}, "for 1m30s", "temporarily_unavailable"},
	} {
		tl := page.NewTimeline()
		c.event.Token = "a"
		tl.Observe(c.event)
		got := tl.Of("a")[0]
		if got.Detail != c.detail || got.Code != c.code || got.Kind != string(c.event.Kind) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	tl := page.NewTimeline()
	tl.Observe(refresher.Event{Kind: refresher.HookFailed, Token: "a", Err: errors.New(strings.Repeat("ü", 5000))})
	if got := tl.Of("a")[0].Detail; len(got) > 310 || !strings.HasSuffix(got, "ü…") {
		t.Errorf("a long text is kept with %d bytes", len(got))
	}
}

func TestTimelineIsBoundedAndSummed(t *testing.T) {
	t.Parallel()
	tl := page.NewTimeline()
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for i := range 30 {
		tl.Observe(refresher.Event{Kind: refresher.Refreshed, Token: "a", Generation: uint64(i + 1)})
	}
	for i := range 40 {
		tl.Observe(refresher.Event{Kind: refresher.AttemptFailed, Token: "a", At: noon.Add(time.Duration(i) * time.Second), Err: errors.New("no route")})
	}
	got := tl.Of("a")
	if len(got) != 20 || got[0].Count != 40 || !got[0].At.Equal(noon.Add(39*time.Second)) || got[1].Generation != 30 || got[19].Generation != 12 {
		t.Errorf("%d moments, the newest %+v", len(got), got[0])
	}
	tl.Observe(refresher.Event{Kind: refresher.Retired, Token: "a"})
	if got := tl.Of("a"); len(got) != 0 || got == nil {
		t.Errorf("a token that is gone is remembered: %v", got)
	}
	if got := (*page.Timeline)(nil).Of("a"); got == nil || len(got) != 0 {
		t.Errorf("without a timeline: %v", got)
	}
}

// Of a fleet, those are remembered that something unusual happened to; what goes
// well pushes none of them out.
func TestUnusualStaysWhenAFleetGoesOn(t *testing.T) {
	t.Parallel()
	tl := page.NewTimeline()
	fleet := func(kind refresher.Kind, from, to int) {
		for i := from; i < to; i++ {
			tl.Observe(refresher.Event{Kind: kind, Token: fmt.Sprintf("t%d", i)})
		}
	}
	remembered := func(from, to int) (n int) {
		for i := from; i < to; i++ {
			n += min(1, len(tl.Of(fmt.Sprintf("t%d", i))))
		}
		return n
	}
	fleet(refresher.Refreshed, 0, 500)
	if n := remembered(0, 500); n != 200 {
		t.Errorf("%d tokens are remembered", n)
	}
	fleet(refresher.Expired, 300, 310)
	fleet(refresher.Refreshed, 0, 10_000)
	if n := remembered(300, 310); n != 10 {
		t.Errorf("%d of 10 tokens that expired are remembered", n)
	}
	fleet(refresher.Expired, 1000, 1250)
	if n := remembered(0, 10_000); n != 200 {
		t.Errorf("%d tokens are remembered", n)
	}
	if n := remembered(1050, 1250); n != 200 {
		t.Errorf("%d of the latest 200 are remembered", n)
	}
}

func TestFleetThatDoesWellCostsNoMemory(t *testing.T) {
	tl := page.NewTimeline()
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprintf("t%d", i)
	}
	for _, name := range names {
		tl.Observe(refresher.Event{Kind: refresher.Refreshed, Token: name})
	}
	if n := testing.AllocsPerRun(100, func() { tl.Observe(refresher.Event{Kind: refresher.Refreshed, Token: names[9999]}) }); n != 0 {
		t.Errorf("an event of a token that is not remembered allocates %v times", n)
	}
	// At its worst, with every text as long as may be.
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for _, name := range names[:400] {
		for i := range 25 {
			tl.Observe(refresher.Event{Kind: refresher.HookFailed, Token: name, Err: errors.New(fmt.Sprint(i) + strings.Repeat("x", 1000))})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
		t.Errorf("the timeline of a fleet in trouble takes %d KiB", grown>>10)
	}
	runtime.KeepAlive(tl)
}

func TestTimelineIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	tl := page.NewTimeline()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				name := fmt.Sprintf("t%d", (i*31+j)%300)
				tl.Observe(refresher.Event{Kind: refresher.SinkFailed, Token: name, Err: errors.New("x")})
				tl.Of(name)
			}
		})
	}
	all.Wait()
}
