package main

import (
	"slices"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
	"github.com/tokend-project/tokend/test/bench/internal/watchdog"
)

func sec(s float64) int64 { return int64(s * 1e9) }

func issued(token, serial int32, arrived, lifetime float64) tokenserver.Event {
	return tokenserver.Event{Token: token, Serial: serial, Outcome: tokenserver.Issued,
		Arrived: sec(arrived), Answered: sec(arrived), Expires: sec(arrived + lifetime)}
}

func TestReckonedLatenessCountsFromTheLastAnswer(t *testing.T) {
	failed := tokenserver.Event{Token: 0, Outcome: tokenserver.Unavailable, Arrived: sec(46), Answered: sec(46)}
	events := []tokenserver.Event{issued(0, 1, 0, 60), issued(1, 1, 1, 60), failed, issued(0, 2, 47, 60), issued(1, 2, 46, 60)}
	want := []time.Duration{time.Second, 2 * time.Second, 0}
	if got := reckonedLateness(events, 0.75); !slices.Equal(got, want) {
		t.Errorf("lateness %v, want %v", got, want)
	}
}

func TestStatedLatenessTakesTheNewestPlanOfTheSameGeneration(t *testing.T) {
	events := []tokenserver.Event{issued(0, 1, 0, 60), issued(0, 2, 45, 60), issued(0, 3, 90, 60)}
	heard := []plans{
		{asked: sec(0.01), told: sec(0.2), next: []int64{sec(10)}},   // asked while the first answer was settling
		{asked: sec(1), told: sec(1.1), next: []int64{sec(40)}},      // later changed its mind
		{asked: sec(30), told: sec(30.1), next: []int64{sec(44.75)}}, // what holds for the second request
		{asked: sec(44.9), told: sec(45.1), next: []int64{sec(20)}},  // told after the request: says nothing
		{asked: sec(60), told: sec(60.1), next: []int64{0}},          // no plan for the third
	}
	want := []time.Duration{250 * time.Millisecond}
	if got := statedLateness(events, heard); !slices.Equal(got, want) {
		t.Errorf("lateness %v, want %v", got, want)
	}
}

func TestDeliveriesMatchTokensAndFiles(t *testing.T) {
	events := []tokenserver.Event{issued(0, 1, 1, 60), issued(0, 2, 50, 60), issued(1, 2, 51, 60), issued(0, 3, 99, 60)}
	placed := map[watchdog.Key]int64{{Token: 0, Serial: 1}: sec(1.5), {Token: 0, Serial: 2}: sec(50.002), {Token: 0, Serial: 3}: sec(99.5)}
	got := deliveries(events, placed, time.Unix(10, 0), time.Unix(90, 0))
	if want := []time.Duration{2 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("deliveries %v, want %v", got, want)
	}
}

func TestWaveEndsWithTheLastSecondToken(t *testing.T) {
	var events []tokenserver.Event
	for i := range int32(10) {
		events = append(events, issued(i, 1, 0.1*float64(i), 60))
	}
	for i := range int32(10) { // one a second, but two in the sixth
		at := 30 + float64(i)
		if i == 9 {
			at = 35.5
		}
		events = append(events, issued(i, 2, at, 60))
	}
	for i := range int32(3) { // and later three in one
		events = append(events, issued(i, 3, 60+float64(i)/10, 60))
	}
	w := waveOf(events)
	if want := (wave{window: 8 * time.Second, first: 2, later: 3}); w != want {
		t.Fatalf("wave %+v, want %+v", w, want)
	}
	if got := w.evenly(w.first, 10); got != 1.6 {
		t.Errorf("%.2f× even, want 1.60×", got)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	for _, args := range [][]string{
		{"-n", "0"}, {"-lifetime", "1500ms"}, {"-rows", "cold,warm"}, {"-systems", "vault"}, {"-outages", "strike"}, {"-grant", "magic"}, {"serve"},
	} {
		if _, err := parseSettings(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
	s, err := parseSettings([]string{"-quick", "-n", "50", "-rows", "cold"})
	if err != nil || s.tokens != 50 || s.lifetime != 8*time.Second || s.wants("cpu") || !s.wants("cpu", "cold") {
		t.Errorf("settings %+v, %v", s, err)
	}
}

func TestVerdicts(t *testing.T) {
	b := &bench{settings: &settings{tokens: 10, lifetime: time.Minute, modes: []string{"hang"}}, results: newResults()}
	b.put("cold", "loop", cell{value: 4, text: "4 s"})
	b.put("cold", "tokend", cell{value: 2.4, text: "2.4 s"})
	b.put("cpu", "tokend", cell{value: 2, text: "2 µs"})
	b.put("restart", "tokend", cell{value: 1, text: "1 s, 3 requests", bad: true})
	b.put("outage: hang", "tokend", cell{value: 0.1, text: "0.1"})
	want := map[string]string{"cold": "met", "cpu": "", "restart": "MISSED", "outage: hang": "MISSED"}
	for _, l := range b.lines() {
		row, ok := b.row(l)
		if verdict, measured := want[l.key]; measured != ok || row.Verdict != verdict {
			t.Errorf("%s: measured %v, verdict %q", l.key, ok, row.Verdict)
		}
	}
}
