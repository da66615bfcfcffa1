package faults

import (
	"encoding/json"
	"net/http"
	"os"
	"testing"
	"time"
)

// cert-manager#8610: an issuer that hands out the same credential again must not
// look like one that renews.
func TestSameAccessTokenAgainIsNoNewGeneration(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	s.answers(func(w http.ResponseWriter, r request) bool {
		_, body := s.decide(r)
		body["access_token"] = "always-the-same"
		_ = json.NewEncoder(w).Encode(body)
		return true
	})
	d.start(t, s.provider(`schedule {
    min_interval = "10ms"
  }`)+person("ann", `on_update {
    command = ["/bin/true"]
    timeout = "10s"
  }`))
	d.awaitDelivered(t, "ann", 1)
	d.await(t, "the hook has run", func() bool { return d.log.count("hook_ran", "ann") == 1 })
	before, err := os.Stat(d.path("out/ann"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := d.client(t).Refresh(t.Context(), "ann", false); err != nil {
			t.Fatal(err)
		}
	}
	d.stop(t) // delivers what is due
	after, err := os.Stat(d.path("out/ann"))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the file was written anew: %v", err)
	}
	if n, hooks := d.status("ann").Generation, d.log.count("hook_ran", "ann"); n != 1 || hooks != 1 {
		t.Errorf("generation %d, %d runs of the hook", n, hooks)
	}
	if n := s.count(""); n != 4 {
		t.Errorf("%d requests for four that were asked for", n)
	}
}

// What counts is when we asked; a server's clock may be anything.
func TestServersDateIsIgnored(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour, "in another age": -50 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBell()
			s, d := newServer(t, b), place(t, b)
			s.answers(func(w http.ResponseWriter, _ request) bool {
				w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				return false
			})
			began := time.Now()
			d.start(t, s.provider("")+person("ann", ""))
			d.awaitDelivered(t, "ann", 1)
			expires := d.status("ann").ExpiresAt
			if least, most := began.Add(time.Hour-2*time.Second), time.Now().Add(time.Hour); expires.Before(least) || expires.After(most) {
				t.Errorf("expires at %v, which is not an hour from now", expires)
			}
		})
	}
}
