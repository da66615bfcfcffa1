package page

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/tokend-project/tokend/internal/problem"
	"github.com/tokend-project/tokend/internal/refresher"
)

// saying is what an event is called on the page, and how much it matters.
type saying struct{ level, text string }

func (s saying) unusual() bool { return s.level != "info" }

func sayingOf(k refresher.Kind) saying {
	if s, ok := sayings[k]; ok {
		return s
	}
	return saying{"info", strings.ReplaceAll(string(k), "_", " ")}
}

var sayings = map[refresher.Kind]saying{
	refresher.Refreshed:     {"info", "Token refreshed"},
	refresher.LoggedIn:      {"info", "Logged in"},
	refresher.Resumed:       {"info", "Stored token taken up"},
	refresher.AttemptFailed: {"warning", "Token request failed"},
	refresher.RefreshDenied: {"warning", "Refresh token refused; logging in anew"},
	refresher.NeedsHuman:    {"error", "A person must obtain a new refresh token"},
	refresher.Salvaged:      {"warning", "Answer unusable; its refresh token was kept"},
	refresher.Odd:           {"info", "The server departs from the protocol"},
	refresher.Expired:       {"error", "Access token expired"},
	refresher.StateFailed:   {"error", "State not saved"},
	refresher.SinkWritten:   {"info", "Sink written"},
	refresher.SinkRepaired:  {"warning", "Sink was changed by somebody else and put back"},
	refresher.SinkFailed:    {"error", "Sink not written"},
	refresher.SinkFight:     {"error", "Somebody keeps changing the sink"},
	refresher.HookRan:       {"info", "on_update command ran"},
	refresher.HookFailed:    {"error", "on_update command failed"},
	refresher.ProbeRefused:  {"warning", "The resource refused the token"},
	refresher.ProbeFailed:   {"warning", "The resource could not be asked"},
	refresher.Throttled:     {"warning", "The server asks for a pause"},
	refresher.Released:      {"info", "Another replica keeps the token from now on"},
	refresher.Fenced:        {"warning", "Another owner has written the record"},
	refresher.Panicked:      {"error", "A defect in tokend was caught"},
}

func momentOf(e refresher.Event, s saying) Moment {
	m := Moment{At: e.At, Kind: string(e.Kind), Level: s.level, Text: s.text, Detail: detail(e), Generation: e.Generation, Count: 1}
	if s.unusual() {
		m.Code = problem.OfEvent(m.Kind, e.SinkKind, e.Err)
	}
	return m
}

// detail says what the words leave open. A stack, which a panic has in its
// detail, is for the log.
func detail(e refresher.Event) string {
	var parts []string
	if e.SinkKind != "" || e.Target != "" {
		parts = append(parts, strings.TrimSpace(e.SinkKind+" "+e.Target))
	}
	switch {
	case e.Err != nil:
		parts = append(parts, e.Err.Error())
	case e.Kind == refresher.Odd:
		parts = append(parts, e.Detail)
	case e.Kind == refresher.Throttled && e.Took > 0:
		parts = append(parts, "for "+e.Took.Round(time.Second).String())
	case e.SinceAnswer > 0:
		parts = append(parts, round(e.SinceAnswer)+" after the answer")
	case e.Kind == refresher.Refreshed || e.Kind == refresher.LoggedIn:
		parts = append(parts, fmt.Sprintf("answered in %s", round(e.Took)))
	}
	return oneLine(strings.Join(parts, ": "))
}

func round(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// oneLine makes a text fit for one line of bounded length.
func oneLine(s string) string {
	if len(s) > maxSentence {
		s = strings.ToValidUTF8(s[:maxSentence], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
