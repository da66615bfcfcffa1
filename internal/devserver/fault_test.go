package devserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// send does a request that may fail.
func (r *rig) send(ctx context.Context, t *testing.T, a ask) (status int, retryAfter string, err error) {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(a.request(t, r.url).WithContext(ctx))
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, resp.Header.Get("Retry-After"), err
}

func TestOutageDeclinesWithRetryAfter(t *testing.T) {
	r := newRig(t, Options{})
	cases := []struct {
		fault      Fault
		status     int
		retryAfter string
	}{
		{Fault{Mode: Unavailable}, 503, ""},
		{Fault{Mode: Unavailable, RetryAfter: 3 * time.Second}, 503, "3"},
		{Fault{Mode: TooMany, RetryAfter: 1500 * time.Millisecond}, 429, "2"},
		{Fault{}, 200, ""},
	}
	for _, c := range cases {
		r.SetFault(c.fault, Rator)
		status, retryAfter, err := r.send(t.Context(), t, ratorLogin())
		if err != nil || status != c.status || retryAfter != c.retryAfter {
			t.Errorf("%v: %d, Retry-After %q, %v", c.fault, status, retryAfter, err)
		}
		r.granted(t, musementLogin()) // the fault is Rator's alone
	}
	if c := r.Stats().Of(Rator); c.Faults != 3 || c.Logins != 1 || c.Refusals != 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestResetReachesTheClientAndDoesNothing(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, ratorLogin())
	r.SetFault(Fault{Mode: Reset})
	if _, _, err := r.send(t.Context(), t, ratorRefresh(g.text("refresh_token"))); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("err %v, want a reset", err)
	}
	r.SetFault(Fault{})
	r.granted(t, ratorRefresh(g.text("refresh_token")))
}

func TestLostAnswerHasRotatedAllTheSame(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, ratorLogin())
	r.SetFault(Fault{Mode: LoseAnswer}, Rator)
	if status, _, err := r.send(t.Context(), t, ratorRefresh(g.text("refresh_token"))); err == nil {
		t.Errorf("an answer arrived: %d", status)
	}
	r.SetFault(Fault{}, Rator)
	r.do(t, ratorRefresh(g.text("refresh_token")))
	if c := r.Stats().Of(Rator); c.Refreshes != 1 || c.Reuses != 1 {
		t.Errorf("counted %+v; want the lost refresh and the reuse", c)
	}
}

func TestHangingRequestIsAnsweredWhenTheOutageEnds(t *testing.T) {
	r := newRig(t, Options{})
	r.SetFault(Fault{Mode: Hang}, Rator)
	if m := r.Stats().Of(Rator).Mode; m != Hang {
		t.Errorf("the outage shows as %v", m)
	}
	answered := make(chan int, 1)
	go func() {
		status, _, _ := r.send(t.Context(), t, ratorLogin())
		answered <- status
	}()
	select {
	case status := <-answered:
		t.Fatalf("answered %d during the outage", status)
	case <-time.After(20 * time.Millisecond):
	}
	r.SetFault(Fault{})
	if status := <-answered; status != http.StatusOK {
		t.Errorf("status %d after the outage", status)
	}
}

func TestHangingRequestEndsWithItsClient(t *testing.T) {
	r := newRig(t, Options{})
	g := r.granted(t, ratorLogin())
	r.SetFault(Fault{Mode: Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := r.send(ctx, t, ratorRefresh(g.text("refresh_token"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("err %v", err)
	}
	for r.Stats().Of(Rator).Faults == 0 { // the server notices a little later
		time.Sleep(time.Millisecond)
	}
	r.SetFault(Fault{})
	r.granted(t, ratorRefresh(g.text("refresh_token"))) // so it was not spent
}

func TestCloseReleasesHangingRequests(t *testing.T) {
	r := newRig(t, Options{})
	r.SetFault(Fault{Mode: Hang})
	answered := make(chan error, 1)
	go func() {
		_, _, err := r.send(t.Context(), t, ratorLogin())
		answered <- err
	}()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err == nil {
		t.Error("a closed server granted a token")
	}
}
