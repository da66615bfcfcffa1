package e2e

import (
	"bytes"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state/file"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// A server that commits and then takes its time is the dangerous one: the answer
// holds the only refresh token that is left.
func TestSIGTERMWaitsForASlowAnswerAndTheNextStartMakesNoRequest(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann"}))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "ann", 1)
	first := d.Content("ann")

	committed, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	once := sync.OnceFunc(func() { close(committed) })
	s.Lock()
	s.Pace = func(done bool) {
		if done {
			once()
			<-release
		}
	}
	s.Unlock()
	go func() { _, _ = d.Command(t, "refresh", "ann") }() // the daemon goes away under it
	select {
	case <-committed:
	case <-time.After(20 * time.Second):
		t.Fatal("no refresh came")
	}
	d.Signal(t, syscall.SIGTERM)
	time.Sleep(500 * time.Millisecond) // long enough for a daemon that does not wait
	if !d.Running() {
		t.Fatal("ended with a refresh in flight")
	}
	letGo()
	if code := d.Exit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := d.Content("ann"); got == first || !live(t, s, got) {
		t.Error("the answer that was waited for is not in the file")
	}
	held := stored(t, d, "ann")
	if held.Intent != nil || held.Generation != 2 {
		t.Errorf("generation %d, intent %v in the state", held.Generation, held.Intent)
	}

	before := s.Requests()
	d.Run(t)
	d.Until(t, 10*time.Second, "ann", "is resumed", func(s token.Status) bool { return s.State == token.StateFresh })
	time.Sleep(time.Second) // a needless request would come at once
	if n := s.Requests() - before; n != 0 {
		t.Errorf("%d token requests after the start", n)
	}
	d.Stop(t)
}

func stored(t *testing.T, d *tokend.Daemon, name string) token.Record {
	t.Helper()
	store := must(file.Open(t.Context(), file.Options{Dir: d.State(), Logger: slog.New(slog.DiscardHandler)}))(t)
	defer store.Close()
	return must(store.Load(t.Context(), name))(t)
}

func TestSecondDaemonOnOneStateIsRefused(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann"}))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "ann", 1)
	second := tokend.Start(t, "the second tokend", d.Bin, "run", "--config", d.Config())
	if code := second.Exit(t, 10*time.Second); code == 0 {
		t.Error("exit code 0")
	}
	if log := second.Log.Bytes(); !bytes.Contains(log, []byte(d.State())) {
		t.Errorf("the error must name the state directory:\n%s", log)
	}
	if !d.Running() || s.Requests() != 1 {
		t.Errorf("the first daemon must go on undisturbed: running %v, %d requests", d.Running(), s.Requests())
	}
	if d.Status(t).Of("ann").State != token.StateFresh {
		t.Error("the first daemon lost its control socket")
	}
	d.Stop(t)
}

func TestRestartWithLiveTokensMakesNoRequestAndPutsADeletedFileBack(t *testing.T) {
	t.Parallel()
	s := strict.Start(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann", "ben"}))
	d.Run(t)
	d.UntilGeneration(t, 20*time.Second, "ann", 1)
	d.UntilGeneration(t, 20*time.Second, "ben", 1)
	tokend.Await(t, 5*time.Second, "both files are there", func() bool { return d.Content("ann") != "" && d.Content("ben") != "" })
	ann := d.Content("ann")
	d.Kill()
	if err := syscall.Unlink(d.File("ann")); err != nil {
		t.Fatal(err)
	}
	before := s.Requests()
	d.Run(t)
	tokend.Await(t, 10*time.Second, "the deleted file is back", func() bool { return d.Content("ann") == ann })
	if err := syscall.Unlink(d.File("ben")); err != nil {
		t.Fatal(err)
	}
	tokend.Await(t, 5*time.Second, "the file is put back while it runs", func() bool { return d.Content("ben") != "" })
	if n := s.Requests() - before; n != 0 {
		t.Errorf("%d token requests after the start", n)
	}
	d.Stop(t)
}
