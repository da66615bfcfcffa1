package app

import (
	"errors"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

func TestSavesAreLoadedWhenTheyHavePaused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		touches []time.Duration // from the start
		want    time.Duration
	}{
		"one":                              {[]time.Duration{0}, 200 * time.Millisecond},
		"an editor's three":                {[]time.Duration{0, 5 * time.Millisecond, 9 * time.Millisecond}, 209 * time.Millisecond},
		"with a pause between":             {[]time.Duration{0, 150 * time.Millisecond, 300 * time.Millisecond}, 500 * time.Millisecond},
		"a steady stream":                  {every(100*time.Millisecond, 50), 2 * time.Second},
		"one shortly before patience ends": {append(every(100*time.Millisecond, 19), 1950*time.Millisecond), 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				var d debounce
				for _, at := range c.touches {
					select {
					case <-d.due:
						if got := time.Since(began); got != c.want {
							t.Errorf("loaded after %v, not %v", got, c.want)
						}
						return
					case <-time.After(at - time.Since(began)):
						d.touch()
					}
				}
				<-d.due
				if got := time.Since(began); got != c.want {
					t.Errorf("loaded after %v, not %v", got, c.want)
				}
			})
		})
	}
}

func every(d time.Duration, n int) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = time.Duration(i) * d
	}
	return out
}

func TestEventsThatAreAnOccasionToLook(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	real, link := h.write(t, "of-the-secret", "one"), h.path("secret")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	f := follower{app: &App{watch: []string{link, h.path("absent.hcl")}}, watcher: w, watched: map[string]bool{}}
	f.aim()
	for name, wants := range map[string]map[fsnotify.Op]bool{
		"secret":        {fsnotify.Write: true, fsnotify.Chmod: true, fsnotify.Create: true},
		"of-the-secret": {fsnotify.Write: true, fsnotify.Write | fsnotify.Chmod: true, fsnotify.Remove: true},
		"absent.hcl":    {fsnotify.Write: true, fsnotify.Create: true},
		"new.hcl":       {fsnotify.Create: true, fsnotify.Write: true},
		"..data":        {fsnotify.Create: true, fsnotify.Rename: true},
		"tokend.log":    {fsnotify.Write: false, fsnotify.Chmod: false, fsnotify.Create: true, fsnotify.Write | fsnotify.Remove: true},
	} {
		for op, want := range wants {
			if got := f.concerns(fsnotify.Event{Name: h.path(name), Op: op}); got != want {
				t.Errorf("%s of %s: %t", op, name, got)
			}
		}
	}
}

// What is looked at to find a change: content and mode, not the times, and of a
// directory the names that matter.
func TestDigestOfWhatTheConfigurationIsMadeOf(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	secret := h.write(t, "secret", "one")
	if err := os.Mkdir(h.path("conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	paths := []string{h.path("absent"), h.path("conf"), secret}
	last := digest(paths)
	step := func(name string, change bool, do func() error) {
		t.Helper()
		if err := do(); err != nil {
			t.Fatal(err)
		}
		now := digest(paths)
		if (now != last) != change {
			t.Errorf("%s: the digest changes: %t", name, now != last)
		}
		last = now
	}
	write := func(name, text string) func() error {
		return func() error { return os.WriteFile(h.path(name), []byte(text), 0o600) }
	}
	step("nothing", false, func() error { return nil })
	step("another content", true, write("secret", "two"))
	step("the same content, written again", false, write("secret", "two"))
	step("other times", false, func() error { return os.Chtimes(secret, time.Now(), time.Now().Add(time.Hour)) })
	step("another mode", true, func() error { return os.Chmod(secret, 0o640) })
	step("a replacement of the same content", true, func() error {
		return errors.Join(write("secret~", "two")(), os.Rename(h.path("secret~"), secret)) // its mode is 0600 again
	})
	step("a file that was absent", true, write("absent", ""))
	step("a file less", true, func() error { return os.Remove(h.path("absent")) })
	step("a new configuration file", true, write("conf/a.hcl", ""))
	step("an editor's backup", false, write("conf/a.hcl~", ""))
	step("a renamed one", true, func() error { return os.Rename(h.path("conf/a.hcl"), h.path("conf/b.hcl")) })
	step("a directory in a file's place", true, func() error { return errors.Join(os.Remove(secret), os.Mkdir(secret, 0o700)) })
}

// A configuration may be refused for a file that is not there yet; when that file
// comes, it is good. What the last good one was made of is still of interest too.
func TestRefusedConfigurationIsWatchedBesideTheOneThatRuns(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old, missing := h.write(t, "old-secret", "one"), h.path("new-secret")
	using := func(path string) string {
		return h.config(t, "c.hcl", "", h.person("ann", "client_secret = file(\""+path+"\")"))
	}
	a := h.open(t, using(old))
	defer func() { _ = a.Close() }()
	path := using(missing)
	if err := a.Reload(t.Context()); err == nil {
		t.Fatal("a secret that is not there is taken")
	}
	for _, want := range []string{path, old, missing} {
		if !slices.Contains(a.watching(), want) {
			t.Errorf("%s is not watched: %v", want, a.watching())
		}
	}
	h.write(t, "new-secret", "two")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(a.watching(), old) {
		t.Error("what nothing is made of any more is watched")
	}
}
