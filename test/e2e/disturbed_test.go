package e2e

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// A suspended machine and a paused container look the same from inside: timers
// stand still, and the wall clock goes on.
func TestPausedDaemonIsLiveAgainWhenItWakes(t *testing.T) {
	t.Parallel()
	s := startStrict(t, 3*time.Second)
	users := []string{"ann", "ben", "cleo"}
	d := newDaemon(t, strictConfig(s, users))
	d.run(t)
	for _, user := range users {
		d.untilGeneration(t, 20*time.Second, user, 2)
	}
	d.signal(t, syscall.SIGSTOP)
	time.Sleep(5 * time.Second) // longer than any token lives
	d.signal(t, syscall.SIGCONT)
	woke := time.Now()
	for _, user := range users {
		await(t, 3*time.Second, user+" is live again", func() bool { return live(t, s, d.content(user)) })
	}
	lab.reports.add(fmt.Sprintf("SIGSTOP: live again %.0f ms after waking", milliseconds(time.Since(woke))))
	for _, user := range users {
		if st := d.status(t).of(user); st.Logins > 1+d.lostAnswers(user) {
			t.Errorf("%s: %d logins, a pause must not cost the family", user, st.Logins)
		}
	}
	d.stop(t)
}

func TestStormOfSIGHUPsMakesNoRequest(t *testing.T) {
	t.Parallel()
	s := startStrict(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann", "ben"}))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "ann", 1)
	d.untilGeneration(t, 20*time.Second, "ben", 1)
	for range 300 {
		d.signal(t, syscall.SIGHUP)
	}
	// A token that is new shows that the storm has been dealt with.
	d.configure(t, house+strictConfig(s, []string{"ann", "ben", "cleo"}))
	d.signal(t, syscall.SIGHUP)
	d.untilGeneration(t, 20*time.Second, "cleo", 1)
	if n := s.requests(); n != 3 {
		t.Errorf("%d token requests for three tokens", n)
	}
	d.stop(t)
}

func TestBrokenConfigLeavesTheTokensRunningAndSaysSo(t *testing.T) {
	t.Parallel()
	s := startStrict(t, 3*time.Second)
	d := newDaemon(t, strictConfig(s, []string{"ann"}))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "ann", 1)
	d.configure(t, house+"token \"ann\" {")
	await(t, 10*time.Second, "the status tells of the broken config", func() bool { return d.status(t).Config.Error != nil })
	before := d.status(t).of("ann").Generation
	d.untilGeneration(t, 20*time.Second, "ann", before+2)
	d.configure(t, house+strictConfig(s, []string{"ann"}))
	await(t, 10*time.Second, "the status is good again", func() bool { return d.status(t).Config.Error == nil })
	if st := d.status(t).of("ann"); st.Logins > 1+d.lostAnswers("ann") {
		t.Errorf("%d logins", st.Logins)
	}
	d.stop(t)
}

// With too few file descriptors for all tokens that are due at once, some
// attempts fail before anything is sent, and nothing is lost.
func TestTooFewFileDescriptorsLoseNothing(t *testing.T) {
	t.Parallel()
	s := startStrict(t, 20*time.Second)
	s.pace = func(committed bool) {
		if committed {
			time.Sleep(300 * time.Millisecond) // so that many requests are under way together
		}
	}
	users := make([]string, 60)
	for i := range users {
		users[i] = fmt.Sprintf("user-%02d", i)
	}
	d := newDaemon(t, strictConfig(s, users))
	d.process = start(t, "tokend", "/bin/sh", "-c", `ulimit -n 40 && exec "$0" run --config "$1"`, d.bin, d.config())
	for _, user := range users {
		await(t, 40*time.Second, user+" is live", func() bool { return live(t, s, d.content(user)) })
	}
	for _, user := range users {
		d.until(t, 20*time.Second, user, "is fresh", func(s token.Status) bool { return s.State == token.StateFresh })
	}
	s.mu.Lock()
	for _, e := range s.journal {
		if e.kind == "reuse" || e.kind == "unknown" {
			t.Errorf("%s: %s", e.user, e.kind)
		}
	}
	s.mu.Unlock()
	if !bytes.Contains(d.log.bytes(), []byte("too many open files")) {
		t.Error("there were enough file descriptors: this proves nothing")
	}
	d.stop(t)
}
