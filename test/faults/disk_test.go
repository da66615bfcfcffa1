package faults

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
)

// smallState puts the daemon's state onto a file system of four MiB.
func smallState(t *testing.T, d *daemon) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	if err := os.Mkdir(d.path("state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", d.path("state"), "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(d.path("state"), syscall.MNT_DETACH) })
}

func fill(t *testing.T, d *daemon) {
	t.Helper()
	if err := os.WriteFile(d.path("state/ballast"), make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("fill the disk: %v", err)
	}
}

// large grants a token that needs more room than the state has kept.
func large(s *server, size int) func(w http.ResponseWriter, r request) bool {
	return func(w http.ResponseWriter, r request) bool {
		status, body := s.decide(r)
		body["access_token"] = strings.Repeat("x", size) + body["access_token"].(string)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
		return true
	}
}

func TestFullStateDiskSpendsNoRefreshToken(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	smallState(t, d)
	s.answers(large(s, 200<<10))
	d.start(t, s.provider(`schedule {
    min_interval = "10ms"
  }`)+person("ann", ""))
	d.awaitDelivered(t, "ann", 1)
	before := d.read("out/ann")
	fill(t, d)
	client := d.client(t)
	if err := client.Refresh(t.Context(), "ann", false); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("refresh with a full disk: %v", err)
	}
	if n := s.count("refresh_token"); n != 0 {
		t.Errorf("a refresh token was presented %d times although its answer could not be kept", n)
	}
	if d.status("ann").State != "retrying" || d.read("out/ann") != before {
		t.Error("the token that is still good is not served on")
	}
	remove(t, d.path("state/ballast"))
	d.awaitDelivered(t, "ann", 2) // by itself
	if logins := s.count("password"); logins != 1 {
		t.Errorf("%d logins", logins)
	}
}

func TestDiskThatFillsUpBehindTheRequestLosesNoAnswer(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	smallState(t, d)
	s.answers(large(s, 200<<10))
	config := s.provider("") + person("ann", "")
	d.start(t, config)
	d.awaitDelivered(t, "ann", 1)
	s.answers(func(w http.ResponseWriter, r request) bool {
		fill(t, d)
		return large(s, 800<<10)(w, r)
	})
	if err := d.client(t).Refresh(t.Context(), "ann", false); err != nil {
		t.Error(err)
	}
	d.awaitDelivered(t, "ann", 2) // published although it is in memory alone
	d.await(t, "the log tells of it", func() bool { return d.log.count("state_failed", "ann") > 0 })
	remove(t, d.path("state/ballast"))
	s.answers(large(s, 200<<10))
	d.stop(t) // which saves what is not saved yet
	d.start(t, config)
	d.awaitDelivered(t, "ann", 2)
	if err := d.client(t).Refresh(t.Context(), "ann", false); err != nil {
		t.Errorf("the answer was lost: %v", err)
	}
	if n := s.count(""); n != 3 {
		t.Errorf("%d requests for a login and two refreshes", n)
	}
}
