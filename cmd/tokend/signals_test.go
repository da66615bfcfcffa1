package main

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignals(t *testing.T) {
	for name, c := range map[string]struct {
		at     []time.Duration // since the start, SIGINT each
		cancel bool
		exits  int
	}{
		"none":                         {nil, false, 0},
		"one drains":                   {[]time.Duration{time.Second}, true, 0},
		"timeout(1) sends every twice": {[]time.Duration{time.Second, time.Second}, true, 0},
		"a second wish exits":          {[]time.Duration{time.Second, time.Second + sameWish}, true, 1},
		"a double and a second wish":   {[]time.Duration{0, time.Millisecond, time.Minute}, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				received, done := make(chan os.Signal, 4), make(chan struct{})
				cancelled, exits := false, []os.Signal{}
				go obey(received, done, func() { cancelled = true }, func(s os.Signal) { exits = append(exits, s) })
				start := time.Now()
				for _, at := range c.at {
					time.Sleep(time.Until(start.Add(at)))
					received <- syscall.SIGINT
					synctest.Wait()
				}
				close(done)
				synctest.Wait()
				if cancelled != c.cancel || len(exits) != c.exits || slices.ContainsFunc(exits, func(s os.Signal) bool { return s != syscall.SIGINT }) {
					t.Errorf("cancelled %v, exits %v", cancelled, exits)
				}
			})
		})
	}
}
