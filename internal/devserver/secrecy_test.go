package devserver

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// TestNoSecretReachesLogsOrStatistics goes down every road with secrets in the
// right places and in wrong ones.
func TestNoSecretReachesLogsOrStatistics(t *testing.T) {
	r := newRig(t, Options{})
	secrets := []string{"demo pass+word", "demo&secret=1", "demo#operator", "demo+secret/100%", "CANARY"}
	for api, l := range logins() {
		first := r.granted(t, l.login)
		second := r.granted(t, l.refresh(first.text("refresh_token")))
		r.do(t, l.refresh(first.text("refresh_token")))
		r.live(t, api, second.text("access_token"))
		for _, g := range []got{first, second} {
			secrets = append(secrets, g.text("access_token"), g.text("refresh_token"))
		}
		misplaced := func(a *ask) {
			if a.query == nil {
				a.query = url.Values{}
			}
			a.query.Set("CANARY_"+strings.Repeat("1", 9), "CANARY")
		}
		r.do(t, l.login.with(misplaced))
		r.do(t, l.login.with(func(a *ask) { a.query = pairs("grant_type", "CANARY") }))
		r.do(t, l.login.with(func(a *ask) { a.form = pairs("grant_type", "CANARY") }))
		r.do(t, l.login.with(func(a *ask) { a.method = "DELETE" }))
	}
	seen := r.logs.String() + fmt.Sprintf("%+v", r.Stats())
	if !strings.Contains(seen, "superseded") && !strings.Contains(seen, "was used before") {
		t.Fatal("the log lacks the requests that it is searched for")
	}
	for _, secret := range secrets {
		if strings.Contains(seen, secret) || strings.Contains(seen, url.QueryEscape(secret)) {
			t.Errorf("%q is in the log or the statistics", secret)
		}
	}
}

func TestRecentRequestsAreBoundedAndTell(t *testing.T) {
	r := newRig(t, Options{})
	for range keepRecent + 5 {
		r.do(t, ratorRefresh("unknown"))
	}
	access := r.granted(t, ratorLogin()).text("access_token")
	r.live(t, Rator, access)
	recent := r.Stats().Recent
	if len(recent) != keepRecent {
		t.Fatalf("%d requests are remembered", len(recent))
	}
	want := Request{At: r.clock(), API: Rator, Grant: grantOperator, Account: "operator", Status: 200, Outcome: LoggedIn}
	if last := recent[len(recent)-1]; last != want {
		t.Errorf("the last request is %+v, want %+v", last, want)
	}
}
