package main

import (
	"testing"
	"time"
)

func TestRelative(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for want, d := range map[string]time.Duration{
		"in 42s":    42 * time.Second,
		"12s ago":   -12 * time.Second,
		"now":       900 * time.Millisecond,
		"in 9m 59s": 9*time.Minute + 59*time.Second,
		"in 5m":     5 * time.Minute,
		"in 10m":    10*time.Minute + 30*time.Second,
		"1h 5m ago": -65*time.Minute - time.Second,
		"in 2d 3h":  51*time.Hour + 59*time.Minute,
		"in 365d":   365 * 24 * time.Hour,
	} {
		if got := relative(now.Add(d), now); got != want {
			t.Errorf("relative(%s) = %q, want %q", d, got, want)
		}
	}
	if got := relative(time.Time{}, now); got != "never" {
		t.Errorf("relative of no time = %q", got)
	}
}

func TestCount(t *testing.T) {
	for want, n := range map[string]int{"0 tokens": 0, "1 token": 1, "999 tokens": 999, "1,000 tokens": 1000, "1,234,567 tokens": 1234567} {
		if got := count(n, "token"); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestOneLineTakesNothingThatMovesTheCursor(t *testing.T) {
	if got := oneLine("a\x1b[31m red\r\nb\tc\u202e \u00e9"); got != "a [31m red b c é" {
		t.Errorf("oneLine = %q", got)
	}
}
