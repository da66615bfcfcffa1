package app

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
)

const (
	// An editor's save is several events, and a rollout is many saves: the
	// configuration is loaded when it has been quiet, or at the latest when the
	// last of a steady stream has waited long enough.
	quiet    = 200 * time.Millisecond
	patience = 2 * time.Second
	// lookAgain finds what no event tells of: a network file system, a
	// directory that did not exist when it was to be watched.
	lookAgain = 30 * time.Second
	// configExt is of the files that a directory of the configuration is read for.
	configExt = ".hcl"
	// clockTick is how far a file's times may lag behind the clock.
	clockTick = 20 * time.Millisecond
)

// follow reloads when a file changes that the configuration was made of. It
// watches directories, because a file that is replaced by a rename, or reached
// through a symbolic link as in a mounted ConfigMap, has no event of its own.
func (a *App) follow(ctx context.Context) error {
	w, err := fsnotify.NewBufferedWatcher(64)
	if err != nil {
		a.logger.Warn("no file events; configuration and secrets are looked at every 30 s", "event", "watch_failed", "error", err)
		return a.poll(ctx)
	}
	defer func() { _ = w.Close() }()
	f := follower{app: a, watcher: w, watched: map[string]bool{}}
	return f.run(ctx)
}

func (a *App) poll(ctx context.Context) error {
	f := follower{app: a}
	f.take()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookAgain):
			f.look(ctx)
		}
	}
}

func (a *App) rewatch() {
	for _, watcher := range []chan struct{}{a.reloaded, a.reread} {
		select {
		case watcher <- struct{}{}:
		default:
		}
	}
}

func (a *App) watching() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.watch
}

// follower is the state of follow. One goroutine uses it.
type follower struct {
	app     *App
	watcher *fsnotify.Watcher
	watched map[string]bool
	names   map[string]bool   // of the files that the configuration was made of
	digest  [sha256.Size]byte // of everything the running configuration was made of
}

func (f *follower) run(ctx context.Context) error {
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	var d debounce
	f.aim()
	if f.take() {
		d.touch()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-f.app.reloaded:
			f.aim()
			if f.take() {
				d.touch()
			}
		case e, ok := <-f.watcher.Events:
			if !ok {
				return nil
			}
			if f.concerns(e) {
				d.touch()
			}
		case err := <-f.watcher.Errors:
			f.app.logger.Debug("file events were lost; looking at all of it", "event", "watch_failed", "error", err)
			d.touch()
		case <-d.due:
			d.due = nil
			f.look(ctx)
		case <-again.C:
			f.aim()
			f.look(ctx)
		}
	}
}

// concerns tells whether an event is an occasion to look. Any name that comes or
// goes is, for it may be a link on the way to a file, as in a mounted ConfigMap.
// What is written to is not, unless it has the name of a file of ours or may become
// one: a log that lies beside the configuration would have all of it read every two
// seconds, while one more file of it is waited for until it is written.
func (f *follower) concerns(e fsnotify.Event) bool {
	name := filepath.Base(e.Name)
	return e.Op&^(fsnotify.Write|fsnotify.Chmod) != 0 || f.names[name] || filepath.Ext(name) == configExt
}

// debounce is due when it has not been touched for a while, or, in a steady
// stream of touches, when the first of them has waited long enough.
type debounce struct {
	due   <-chan time.Time // nil when nothing was touched
	first time.Time
}

func (d *debounce) touch() {
	if d.due == nil {
		d.first = time.Now()
	}
	d.due = time.After(max(0, min(quiet, patience-time.Since(d.first))))
}

// eve is how things stood when a load began.
type eve struct {
	began  time.Time
	paths  []string // what the configuration before it was made of, sorted
	digest [sha256.Size]byte
}

// fresh reports whether a path was not known then and may have changed since.
func (e eve) fresh(path string) bool {
	if _, known := slices.BinarySearch(e.paths, path); known {
		return false
	}
	var st unix.Stat_t
	return unix.Stat(path, &st) == nil && time.Unix(st.Ctim.Unix()).After(e.began.Add(-clockTick))
}

// take remembers what the configuration that was just loaded was made of, and
// reports whether something of it was changed since the load began, so that it
// must be loaded again whatever its digest is.
//
// Of what was known before, digests tell. The times of a file tell only of what
// is new: they change for no reason, as those of a directory that a sink is
// in, and after a clock was set back they lie ahead of every load.
func (f *follower) take() (again bool) {
	paths := f.app.watching()
	f.digest = digest(paths)
	f.app.mu.Lock()
	before := f.app.before
	f.app.mu.Unlock()
	if slices.Equal(paths, before.paths) {
		again = f.digest != before.digest
	} else {
		again = digest(before.paths) != before.digest || slices.ContainsFunc(paths, before.fresh)
	}
	if again {
		f.digest = [sha256.Size]byte{}
	}
	return again
}

// look reloads if what the configuration is made of has changed.
func (f *follower) look(ctx context.Context) {
	now := digest(f.app.watching())
	if now == f.digest {
		return
	}
	f.digest = now
	_ = f.app.Reload(ctx) // logged, and shown in status
}

// aim watches the directories of all that the configuration is made of, and
// those that their symbolic links lead to.
func (f *follower) aim() {
	wanted := map[string]bool{}
	f.names = map[string]bool{}
	for _, path := range f.app.watching() {
		wanted[filepath.Dir(path)] = true
		f.names[filepath.Base(path)] = true
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			wanted[path] = true
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			wanted[filepath.Dir(resolved)] = true
			f.names[filepath.Base(resolved)] = true
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(f.watched)) {
		if !wanted[dir] {
			_ = f.watcher.Remove(dir)
			delete(f.watched, dir)
		}
	}
	for dir := range wanted {
		// Adding a directory again is cheap, and finds one that was replaced.
		f.watched[dir] = f.watcher.Add(dir) == nil
	}
}

// digest is of the content of all these files, and of the names in directories.
func digest(paths []string) [sha256.Size]byte {
	h := sha256.New()
	for _, path := range paths {
		if err := addFile(h, path); err != nil {
			fmt.Fprintf(h, "%q: unreadable\n", path)
		}
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func addFile(h io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %v\n", path, info.Mode())
	switch {
	case info.IsDir():
		return addNames(h, path)
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	}
	_, err = io.Copy(h, file)
	return err
}

// addNames digests which configuration files a directory holds; the files are
// digested by themselves.
func addNames(h io.Writer, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == configExt {
			fmt.Fprintf(h, "%q %v\n", e.Name(), e.Type()&^fs.ModePerm)
		}
	}
	return nil
}

// mergeSorted is the union of two lists, sorted.
func mergeSorted(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}
