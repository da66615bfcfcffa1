package e2e

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// A suspended machine and a paused container look the same from inside: timers
// stand still, and the wall clock goes on.
func TestPausedDaemonIsLiveAgainWhenItWakes(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, 3*time.Second)
	users := []string{"ann", "ben", "cleo"}
	d := newDaemon(t, strictConfig(s, users))
	d.Run(t)
	for _, user := range users {
		d.UntilGeneration(t, 20*time.Second, user, 2)
	}
	d.Signal(t, syscall.SIGSTOP)
	time.Sleep(5 * time.Second) // longer than any token lives
	d.Signal(t, syscall.SIGCONT)
	woke := time.Now()
	for _, user := range users {
		tokend.Await(t, 3*time.Second, user+" is live again", func() bool { return live(t, s, d.Content(user)) })
	}
	lab.reports.add(fmt.Sprintf("SIGSTOP: live again %.0f ms after waking", milliseconds(time.Since(woke))))
	for _, user := range users {
		if st := d.Status(t).Of(user); st.Logins > 1+d.LostAnswers(user) {
			t.Errorf("%s: %d logins, a pause must not cost the family", user, st.Logins)
		}
	}
	d.Stop(t)
}

func TestStormOfSIGHUPsMakesNoRequest(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann", "ben"}))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "ann", 1)
	d.UntilGeneration(t, 20*time.Second, "ben", 1)
	for range 300 {
		d.Signal(t, syscall.SIGHUP)
	}
	// A token that is new shows that the storm has been dealt with.
	d.Configure(t, house+strictConfig(s, []string{"ann", "ben", "cleo"}))
	d.Signal(t, syscall.SIGHUP)
	d.UntilGeneration(t, 20*time.Second, "cleo", 1)
	if n := s.Requests(); n != 3 {
		t.Errorf("%d token requests for three tokens", n)
	}
	d.Stop(t)
}

func TestBrokenConfigLeavesTheTokensRunningAndSaysSo(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, 3*time.Second)
	d := newDaemon(t, strictConfig(s, []string{"ann"}))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "ann", 1)
	d.Configure(t, house+"token \"ann\" {")
	tokend.Await(t, 10*time.Second, "the status tells of the broken config", func() bool { return d.Status(t).Config.Error != nil })
	before := d.Status(t).Of("ann").Generation
	d.UntilGeneration(t, 20*time.Second, "ann", before+2)
	d.Configure(t, house+strictConfig(s, []string{"ann"}))
	tokend.Await(t, 10*time.Second, "the status is good again", func() bool { return d.Status(t).Config.Error == nil })
	if st := d.Status(t).Of("ann"); st.Logins > 1+d.LostAnswers("ann") {
		t.Errorf("%d logins", st.Logins)
	}
	d.Stop(t)
}

// With too few file descriptors for all tokens that are due at once, some
// attempts fail before anything is sent, and nothing is lost.
func TestTooFewFileDescriptorsLoseNothing(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, 20*time.Second)
	s.Pace = func(committed bool) {
		if committed {
			time.Sleep(300 * time.Millisecond) // so that many requests are under way together
		}
	}
	users := make([]string, 60)
	for i := range users {
		users[i] = fmt.Sprintf("user-%02d", i)
	}
	d := newDaemon(t, strictConfig(s, users))
	d.Process = tokend.Start(t, "tokend", "/bin/sh", "-c", `ulimit -n 40 && exec "$0" run --config "$1"`, d.Bin, d.Config())
	for _, user := range users {
		tokend.Await(t, 40*time.Second, user+" is live", func() bool { return live(t, s, d.Content(user)) })
	}
	for _, user := range users {
		d.Until(t, 20*time.Second, user, "is fresh", func(s token.Status) bool { return s.State == token.StateFresh })
	}
	s.Lock()
	for _, e := range s.Journal {
		if e.Kind == strict.Reuse || e.Kind == strict.Unknown {
			t.Errorf("%s: %s", e.User, e.Kind)
		}
	}
	s.Unlock()
	if !bytes.Contains(d.Log.Bytes(), []byte("too many open files")) {
		t.Error("there were enough file descriptors: this proves nothing")
	}
	d.Stop(t)
}
