package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/control"
	"github.com/tokend-project/tokend/internal/token"
)

// fleet has a token in every state that a person may have to read.
func fleet(now time.Time) control.Status {
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	return control.Status{
		Version: "1.2.3", PID: 4242, StartedAt: at(-8000),
		Config: control.ConfigStatus{
			Paths: []string{"/etc/tokend"}, LoadedAt: at(-300), Warnings: 1,
			Error: &token.Problem{At: at(-20), Message: "/etc/tokend/a.hcl:3: unknown key\n  did you mean \"path\"?\n"},
		},
		State:    control.StateStatus{Kind: "file", Location: "/var/lib/tokend", Sealed: true},
		Delivery: control.DeliveryStats{Count: 1234, P50: 1.23, P90: 2, P99: 14.6},
		Tokens: []token.Status{
			{
				Name: "fresh", State: token.StateFresh, Generation: 17, IssuedAt: at(-900), ExpiresAt: at(2700),
				NextAttempt: at(1800), NextKind: "refresh", LastError: &token.Problem{At: at(-5000), Message: "long over"},
				Sinks: []token.SinkStatus{{Kind: "file", Target: "/run/a", Generation: 17}, {Kind: "file", Target: "/run/b", Generation: 17}},
			},
			{
				Name: "retrying", State: token.StateRetrying, Generation: 3, IssuedAt: at(-50), ExpiresAt: at(10),
				NextAttempt: at(4), NextKind: "refresh", Failures: 2,
				LastError: &token.Problem{At: at(-12), Code: "invalid_grant", Message: "token request refused (oauth_error): HTTP 400: invalid_grant\x1b[2J"},
				Sinks: []token.SinkStatus{
					{Kind: "file", Target: "/run/c", Generation: 3},
					{Kind: "file", Target: "/run/d", Generation: 2, LastError: &token.Problem{At: at(-2), Message: "no space left on device"}},
				},
				Hook:  &token.HookStatus{LastError: &token.Problem{At: at(-2), Message: "exit status 1"}},
				Probe: &token.ProbeStatus{LastError: &token.Problem{At: at(-3), Message: "HTTP 401"}},
			},
			{Name: "pending", State: token.StatePending, InFlight: true, NextKind: "login", Sinks: []token.SinkStatus{{Kind: "file"}}},
			{Name: "expired", State: token.StateExpired, Generation: 1, IssuedAt: at(-90), ExpiresAt: at(-30), NextAttempt: at(-1), NextKind: "login"},
			{Name: "human", State: token.StateHuman, Generation: 1, IssuedAt: at(-90), ExpiresAt: at(30)},
		},
	}
}

func TestStatusTableSaysEverythingInWords(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	want := strings.TrimPrefix(`
tokend 1.2.3, pid 4242, up 2h 13m
config /etc/tokend, loaded 5m ago, 1 warning
state /var/lib/tokend, sealed
delivery p50 1.2 ms, p99 15 ms, 1,234 writes
the newest config is broken, the last good one runs (20s ago):
  /etc/tokend/a.hcl:3: unknown key
  did you mean "path"?

TOKEN     STATE     LIFETIME                    NEXT                GEN  SINKS
fresh     fresh     ########-- 45m left         refresh in 30m      17   2 ok
retrying  retrying  ##-------- 10s left         refresh in 4s       3    1 of 2 ok
  2 attempts failed, the last 12s ago: token request refused (oauth_error): HTTP 400: invalid_grant [2J [invalid_grant]
  file /run/d failed 2s ago: no space left on device
  on_update failed 2s ago: exit status 1
  probe failed 3s ago: HTTP 401
pending   pending   -                           login under way     0    0 of 1
expired   expired   ---------- expired 30s ago  login due           1    none
human     human     ###------- 30s left         waits for a person  1    none

5 tokens: 1 fresh, 1 retrying, 1 pending, 1 expired, 1 human`, "\n")
	got := strings.Join(statusLines(fleet(now), now, style{}), "\n")
	if got != want {
		t.Errorf("status:\n%s\nwant:\n%s", got, want)
	}
}

func TestStatusColoursAddNothingButColour(t *testing.T) {
	now := time.Now()
	plain := strings.Join(statusLines(fleet(now), now, style{unicode: true}), "\n")
	painted := strings.Join(statusLines(fleet(now), now, style{unicode: true, color: true}), "\n")
	for _, code := range []string{bold, dim, red, green, yellow, cyan} {
		if !strings.Contains(painted, "\x1b["+code+"m") {
			t.Errorf("colour %s is not used", code)
		}
		painted = strings.ReplaceAll(painted, "\x1b["+code+"m", "")
	}
	if painted = strings.ReplaceAll(painted, "\x1b[0m", ""); painted != plain {
		t.Errorf("with colours:\n%s\nwithout:\n%s", painted, plain)
	}
}

func TestNotesAreWrappedToTheTerminal(t *testing.T) {
	now := time.Now()
	for _, line := range statusLines(fleet(now), now, style{width: 80})[8:] {
		if len([]rune(line)) > 80 {
			t.Errorf("%d columns: %s", len([]rune(line)), line)
		}
	}
}

func TestScreenIsCroppedToTheTerminal(t *testing.T) {
	text := strings.Repeat("line\n", 40)
	got := screen(text, style{width: 80, height: 24})
	if n := strings.Count(got, "\n"); n != 23 {
		t.Errorf("%d lines on 24 would scroll", n)
	}
	if !strings.Contains(got, "18 more lines") {
		t.Errorf("the screen does not say what it hides: %q", got)
	}
	if got := screen(text, style{}); got != text {
		t.Error("an output that is no terminal was cropped")
	}
}

func TestEmptyConfigurationHasAStatus(t *testing.T) {
	got := strings.Join(statusLines(control.Status{}, time.Now(), style{}), "\n")
	if !strings.HasSuffix(got, "no token is configured") {
		t.Errorf("status = %q", got)
	}
}
