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
)

// A server that commits and then takes its time is the dangerous one: the answer
// holds the only refresh token that is left.
func TestSIGTERMWaitsForASlowAnswerAndTheNextStartMakesNoRequest(t *testing.T) {
	t.Parallel()
	s := startStrict(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann"}))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "ann", 1)
	first := d.content("ann")

	committed, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	once := sync.OnceFunc(func() { close(committed) })
	s.mu.Lock()
	s.pace = func(done bool) {
		if done {
			once()
			<-release
		}
	}
	s.mu.Unlock()
	go func() { _, _ = d.command(t, "refresh", "ann") }() // the daemon goes away under it
	select {
	case <-committed:
	case <-time.After(20 * time.Second):
		t.Fatal("no refresh came")
	}
	d.signal(t, syscall.SIGTERM)
	time.Sleep(500 * time.Millisecond) // long enough for a daemon that does not wait
	if !d.running() {
		t.Fatal("ended with a refresh in flight")
	}
	letGo()
	if code := d.exit(t, 10*time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := d.content("ann"); got == first || !live(t, s, got) {
		t.Error("the answer that was waited for is not in the file")
	}
	held := stored(t, d, "ann")
	if held.Intent != nil || held.Generation != 2 {
		t.Errorf("generation %d, intent %v in the state", held.Generation, held.Intent)
	}

	before := s.requests()
	d.run(t)
	d.until(t, 10*time.Second, "ann", "is resumed", func(s token.Status) bool { return s.State == token.StateFresh })
	time.Sleep(time.Second) // a needless request would come at once
	if n := s.requests() - before; n != 0 {
		t.Errorf("%d token requests after the start", n)
	}
	d.stop(t)
}

func stored(t *testing.T, d *daemon, name string) token.Record {
	t.Helper()
	store := must(file.Open(t.Context(), file.Options{Dir: d.state(), Logger: slog.New(slog.DiscardHandler)}))(t)
	defer store.Close()
	return must(store.Load(t.Context(), name))(t)
}

func TestSecondDaemonOnOneStateIsRefused(t *testing.T) {
	t.Parallel()
	s := startStrict(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann"}))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "ann", 1)
	second := start(t, "the second tokend", d.bin, "run", "--config", d.config())
	if code := second.exit(t, 10*time.Second); code == 0 {
		t.Error("exit code 0")
	}
	if log := second.log.bytes(); !bytes.Contains(log, []byte(d.state())) {
		t.Errorf("the error must name the state directory:\n%s", log)
	}
	if !d.running() || s.requests() != 1 {
		t.Errorf("the first daemon must go on undisturbed: running %v, %d requests", d.running(), s.requests())
	}
	if d.status(t).of("ann").State != token.StateFresh {
		t.Error("the first daemon lost its control socket")
	}
	d.stop(t)
}

func TestRestartWithLiveTokensMakesNoRequestAndPutsADeletedFileBack(t *testing.T) {
	t.Parallel()
	s := startStrict(t, time.Minute)
	d := newDaemon(t, strictConfig(s, []string{"ann", "ben"}))
	d.run(t)
	d.untilGeneration(t, 20*time.Second, "ann", 1)
	d.untilGeneration(t, 20*time.Second, "ben", 1)
	await(t, 5*time.Second, "both files are there", func() bool { return d.content("ann") != "" && d.content("ben") != "" })
	ann := d.content("ann")
	d.kill()
	if err := syscall.Unlink(d.file("ann")); err != nil {
		t.Fatal(err)
	}
	before := s.requests()
	d.run(t)
	await(t, 10*time.Second, "the deleted file is back", func() bool { return d.content("ann") == ann })
	if err := syscall.Unlink(d.file("ben")); err != nil {
		t.Fatal(err)
	}
	await(t, 5*time.Second, "the file is put back while it runs", func() bool { return d.content("ben") != "" })
	if n := s.requests() - before; n != 0 {
		t.Errorf("%d token requests after the start", n)
	}
	d.stop(t)
}
