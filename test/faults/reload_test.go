package faults

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// An edit that comes while the configuration before it is being put into effect
// must not be taken for the one that was loaded.
func TestEditDuringAReloadIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	// A warning is logged between reading and building: that is the moment.
	warned := s.provider("schedule {\n lead = \"2h\"\n }")
	d.start(t, s.provider("")+person("ann", ""))
	d.awaitDelivered(t, "ann", 1)
	edited := false
	d.log.mu.Lock()
	d.log.hook = func(line map[string]any) {
		if line["event"] == "config_warning" && !edited {
			edited = true
			d.replace(t, "tokend.hcl", house+s.provider("")+person("ann", "")+person("cleo", ""))
		}
	}
	d.log.mu.Unlock()
	d.replace(t, "tokend.hcl", house+warned+person("ann", "")+person("ben", ""))
	d.awaitDelivered(t, "cleo", 1)
	if d.status("ben").Name != "" {
		t.Error("the configuration before the last one runs")
	}
}

func TestEditDuringTheStartIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	d.write(t, "tokend.hcl", house+s.provider("")+person("ann", ""))
	d.build(t)
	d.replace(t, "tokend.hcl", house+s.provider("")+person("ann", "")+person("ben", ""))
	d.run(t)
	d.awaitDelivered(t, "ben", 1)
}

func TestAThousandEditsInTenSecondsAreFewReloadsAndTheLastOneWins(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	config := func(n int) string {
		return house + s.provider("") + strings.Replace(person("ann", ""), "out/ann", fmt.Sprintf("out/ann-%d", n), 1)
	}
	d.write(t, "tokend.hcl", config(0))
	d.build(t)
	d.run(t)
	d.awaitDelivered(t, "ann", 1)
	const edits = 1000
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for n := range edits {
		<-pace.C
		d.replace(t, "tokend.hcl", config(n+1))
	}
	last := fmt.Sprintf("out/ann-%d", edits)
	d.await(t, "the last edit is in effect", func() bool { return d.read(last) != "" })
	// One for every two seconds of a steady stream, one for its end, and some
	// for a machine so busy that the stream has gaps.
	if n := d.log.count("reloaded", ""); n < 2 || n > 9 {
		t.Errorf("%d reloads of %d edits in ten seconds", n, edits)
	}
	if n := s.count(""); n != 1 {
		t.Errorf("%d token requests for edits of a sink's path", n)
	}
}

// A configuration that cannot be used leaves the last good one running, says so,
// and is noticed when it is mended.
func TestUnusableConfigurationKeepsTheLastGoodOne(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, d *daemon, good string){
		"deleted":      func(t *testing.T, d *daemon, _ string) { remove(t, d.path("tokend.hcl")) },
		"empty":        func(t *testing.T, d *daemon, _ string) { d.write(t, "tokend.hcl", "") },
		"only blanks":  func(t *testing.T, d *daemon, _ string) { d.write(t, "tokend.hcl", "\n\n  \n") },
		"half written": func(t *testing.T, d *daemon, good string) { d.write(t, "tokend.hcl", good[:len(good)-30]) },
		"syntax error": func(t *testing.T, d *daemon, good string) { d.write(t, "tokend.hcl", good+"token {{{") },
		"a directory": func(t *testing.T, d *daemon, _ string) {
			remove(t, d.path("tokend.hcl"))
			if err := os.Mkdir(d.path("tokend.hcl"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBell()
			s, d := newServer(t, b), place(t, b)
			good := house + s.provider("") + person("ann", "")
			d.start(t, s.provider("")+person("ann", ""))
			d.awaitDelivered(t, "ann", 1)
			spoil(t, d, good)
			d.await(t, "status tells of it", func() bool { return d.refused() != nil })
			if err := d.client(t).Refresh(t.Context(), "ann", false); err != nil {
				t.Errorf("the token is not kept any more: %v", err)
			}
			d.awaitDelivered(t, "ann", 2)
			_ = os.Remove(d.path("tokend.hcl")) // where it is a directory
			d.replace(t, "tokend.hcl", good)
			d.await(t, "status is good again", func() bool { return d.refused() == nil })
			if n := s.count(""); n != 2 || d.status("ann").Generation != 2 {
				t.Errorf("%d requests, generation %d", n, d.status("ann").Generation)
			}
		})
	}
}

// What Kubernetes does with a ConfigMap: every file is a link into ..data, and
// ..data is a link that is renamed over.
func TestConfigMapSwapIsNoticed(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	d.write(t, "conf/..1/base.hcl", house+s.provider("")+person("ann", ""))
	link(t, "..1", d.path("conf/..data"))
	link(t, "..data/base.hcl", d.path("conf/base.hcl"))
	d.build(t, d.path("conf"))
	d.run(t)
	d.awaitDelivered(t, "ann", 1)
	for n, name := range []string{"ben", "cleo", "dora"} {
		old, next := fmt.Sprintf("..%d", n+1), fmt.Sprintf("..%d", n+2)
		d.write(t, "conf/"+next+"/base.hcl", house+s.provider("")+person("ann", "")+person(name, ""))
		link(t, next, d.path("conf/..data_tmp"))
		if err := os.Rename(d.path("conf/..data_tmp"), d.path("conf/..data")); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(d.path("conf/" + old)); err != nil {
			t.Fatal(err)
		}
		d.awaitDelivered(t, name, 1)
	}
	if n := s.count(""); n != 4 {
		t.Errorf("%d requests for four tokens", n)
	}
}

func TestSavesOfEditorsAreNoticed(t *testing.T) {
	t.Parallel()
	for name, save := range map[string]func(t *testing.T, d *daemon, text string){
		"in place":    func(t *testing.T, d *daemon, text string) { d.write(t, "tokend.hcl", text) },
		"rename over": func(t *testing.T, d *daemon, text string) { d.replace(t, "tokend.hcl", text) },
		"delete and make": func(t *testing.T, d *daemon, text string) {
			remove(t, d.path("tokend.hcl"))
			d.write(t, "tokend.hcl", text)
		},
		"backup by rename": func(t *testing.T, d *daemon, text string) {
			if err := os.Rename(d.path("tokend.hcl"), d.path("tokend.hcl.bak")); err != nil {
				t.Fatal(err)
			}
			d.write(t, "tokend.hcl", text)
			remove(t, d.path("tokend.hcl.bak"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBell()
			s, d := newServer(t, b), place(t, b)
			d.start(t, s.provider("")+person("ann", ""))
			d.awaitDelivered(t, "ann", 1)
			// Twice, since a watch of the file itself would be gone after the first.
			save(t, d, house+s.provider("")+person("ann", "")+person("ben", ""))
			d.awaitDelivered(t, "ben", 1)
			save(t, d, house+s.provider("")+person("ann", "")+person("cleo", ""))
			d.awaitDelivered(t, "cleo", 1)
			if n := s.count(""); n != 3 {
				t.Errorf("%d requests for three tokens", n)
			}
		})
	}
}

func TestProviderRemovedInFlightCommitsThenRetires(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	d.start(t, s.provider("")+person("ann", ""))
	d.awaitDelivered(t, "ann", 1)
	release := make(chan struct{})
	s.answers(func(_ http.ResponseWriter, r request) bool {
		if r.grant == "refresh_token" {
			<-release
		}
		return false
	})
	refreshed := make(chan error, 1)
	client := d.client(t)
	go func() { refreshed <- client.Refresh(t.Context(), "ann", false) }()
	d.await(t, "the refresh is in flight", func() bool { return s.count("refresh_token") == 1 })
	d.replace(t, "tokend.hcl", house)
	if err := client.Reload(t.Context()); err != nil {
		t.Errorf("reload: %v", err)
	}
	if d.log.count("retired", "ann") != 0 {
		t.Error("retired before the refresh token that was spent has been replaced")
	}
	close(release)
	<-refreshed // whatever it says: the token is leaving
	d.await(t, "ann has retired", func() bool { return d.log.count("retired", "ann") == 1 })
	// The family was kept: the token resumes with it, and nobody logs in.
	d.replace(t, "tokend.hcl", house+s.provider("")+person("ann", ""))
	d.awaitDelivered(t, "ann", 2)
	if err := client.Refresh(t.Context(), "ann", false); err != nil {
		t.Errorf("the family was lost: %v", err)
	}
	if logins, all := s.count("password"), s.count(""); logins != 1 || all != 3 {
		t.Errorf("%d logins in %d requests", logins, all)
	}
}

func TestStoredRefreshTokenIsNeverSentToAChangedTokenEndpoint(t *testing.T) {
	t.Parallel()
	b := newBell()
	old, changed, d := newServer(t, b), newServer(t, b), place(t, b)
	d.start(t, old.provider("")+person("ann", ""))
	d.awaitDelivered(t, "ann", 1)
	d.replace(t, "tokend.hcl", house+changed.provider("")+person("ann", ""))
	d.awaitDelivered(t, "ann", 2)
	d.stop(t)
	// And not after a restart either, with the change made meanwhile.
	third := newServer(t, b)
	d.start(t, third.provider("")+person("ann", ""))
	d.await(t, "the third has been asked", func() bool { return third.count("password") == 1 })
	d.awaitDelivered(t, "ann", 3)
	for _, s := range []*server{changed, third} {
		for _, r := range s.all() {
			if r.grant != "password" || r.refresh != "" {
				t.Errorf("a server was sent the refresh token of another one: %s", r.grant)
			}
		}
	}
}

// A token that was refused is asked for again as soon as its secret changes; one
// that is fresh is left alone.
func TestRotatedSecretFileAppliesAtOnceToARefusedTokenAlone(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	s.answers(func(w http.ResponseWriter, r request) bool {
		if r.user == "ann" && r.secret == "old" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return true
		}
		return false
	})
	d.write(t, "secret", "old\n")
	provider := strings.Replace(s.provider(""), `"client-secret"`, `file("DIR/secret")`, 1)
	d.start(t, provider+person("ann", "")+person("ben", ""))
	d.awaitDelivered(t, "ben", 1)
	d.await(t, "ann is refused", func() bool { return d.status("ann").Failures == 1 })
	d.replace(t, "secret", "new\n")
	d.awaitDelivered(t, "ann", 1) // without the change, half a minute passes at least
	if err := d.client(t).Refresh(t.Context(), "ben", false); err != nil {
		t.Fatal(err)
	}
	all := s.all()
	if len(all) != 4 || all[3].user != "ben" || all[3].secret != "new" {
		t.Errorf("the server was asked %d times; the last time with secret %q", len(all), all[len(all)-1].secret)
	}
}

// vault#16148: a login that works once must not be needed for a restart.
func TestSeedThatWasSpentIsNotPresentedAgainAfterARestart(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	s.live["seed"] = "ann"
	config := s.provider("") + `
token "ann" {
  provider = "p"
  grant "refresh_token" {
    refresh_token = "seed"
  }
  sink "file" {
    path = "DIR/out/ann"
  }
}
`
	d.start(t, config)
	d.awaitDelivered(t, "ann", 1)
	d.stop(t)
	d.start(t, config)
	d.awaitDelivered(t, "ann", 1)
	if err := d.client(t).Refresh(t.Context(), "ann", false); err != nil {
		t.Fatal(err)
	}
	seeds := 0
	for _, r := range s.all() {
		if r.refresh == "seed" {
			seeds++
		}
	}
	if n := s.count(""); n != 2 || seeds != 1 {
		t.Errorf("%d requests, %d of them with the seed", n, seeds)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

// What a sink writes beside the configuration changes the directory, and nothing
// that is read from it.
func TestSinkInTheConfigurationsDirectoryCausesNoReload(t *testing.T) {
	t.Parallel()
	b := newBell()
	s, d := newServer(t, b), place(t, b)
	s.lifetime = 2
	config := house + s.provider(`schedule {
    refresh_at   = 0.005
    jitter       = 0
    lead         = "0s"
    min_interval = "10ms"
  }`)
	d.write(t, "conf/base.hcl", config)
	d.write(t, "conf/ann.hcl", strings.Replace(person("ann", ""), "out/ann", "conf/ann.token", 1))
	d.build(t, d.path("conf"))
	d.run(t)
	d.awaitDelivered(t, "ann", 50)
	d.replace(t, "conf/base.hcl", config+"# edited\n")
	d.await(t, "the edit is noticed", func() bool { return d.log.count("reloaded", "") > 0 })
	d.awaitDelivered(t, "ann", d.status("ann").Generation+350)
	// One for the start, which cannot know what came before it, and one for the edit.
	if n := d.log.count("reloaded", ""); n > 2 {
		t.Errorf("%d reloads for one edit", n)
	}
}
