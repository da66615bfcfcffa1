package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state/file"
	"github.com/tokend-project/tokend/internal/token"
)

const (
	killedTokens  = 20
	recoverWithin = 8 * time.Second // a loaded machine; what it took is reported
)

func strictConfig(s *strict, users []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
provider "strict" {
  token_endpoint = %q
  client_id      = "fleet"
  client_secret  = "fleet-secret"
  schedule {
    refresh_at   = 0.4
    lead         = "1s"
    min_interval = "500ms"
  }
}
`, s.URL)
	for _, user := range users {
		fmt.Fprintf(&b, `
token %[1]q {
  provider = "strict"
  grant "password" {
    username = %[1]q
    password = "for-tests"
  }
  sink "file" {
    path = "DIR/out/%[1]s"
  }
}
`, user)
	}
	return b.String()
}

// A killed daemon may lose a family only between the server's commit and its
// own, and may show a superseded refresh token only when it cannot know that it
// is one. After each kill the state that was left behind is compared with the
// server's: that is exact, whatever the moment was.
func TestKilledDaemonLosesNoFamilyOutsideTheWindow(t *testing.T) {
	kills := 200
	if testing.Short() {
		kills = 20
	}
	s := startStrict(t, 3*time.Second)
	s.pace = func(bool) { time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond) }
	users := make([]string, killedTokens)
	for i := range users {
		users[i] = fmt.Sprintf("user-%02d", i)
	}
	d := newDaemon(t, strictConfig(s, users))
	o := &oracle{server: s, users: users, pending: map[string]*token.Intent{}}
	for i := range kills {
		s.nextBoot()
		d.run(t)
		o.allLive(t, d)
		time.Sleep(time.Duration(rand.IntN(600)) * time.Millisecond) // the random moment
		d.kill()
		s.settle(t)
		o.examine(t, d)
		if t.Failed() {
			t.Fatalf("after kill %d", i+1)
		}
	}
	t.Log(o)
	lab.reports.add(o.String())
	if !testing.Short() && o.ambiguous == 0 {
		t.Error("no kill hit a request in flight: this proves nothing")
	}
}

func (s *strict) nextBoot() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.boot++
}

// oracle compares what a killed daemon left behind with what the server knows.
type oracle struct {
	server  *strict
	users   []string
	pending map[string]*token.Intent // intents that the last kill left behind
	read    int                      // how far the journal was judged

	kills      int
	ambiguous  int // intents that were pending at a kill
	window     int // of these, how often the server had committed
	lostLogins int // first answers that a kill kept from being stored
	relogins   int // logins after a pending intent
	replays    int // superseded refresh tokens that were shown after a pending intent
	slowest    time.Duration
}

func (o *oracle) String() string {
	return fmt.Sprintf("kill -9: %d kills, %d tokens, %d requests; %d pending intents, %d of them behind the server's commit; "+
		"%d logins and %d replays after those, none otherwise; all live again after at most %.2f s",
		o.kills, len(o.users), o.server.requests(), o.ambiguous, o.window, o.relogins, o.replays, o.slowest.Seconds())
}

// allLive waits until each file was seen to hold a live token.
func (o *oracle) allLive(t *testing.T, d *daemon) {
	t.Helper()
	began := time.Now()
	missing := make(map[string]bool, len(o.users))
	for _, user := range o.users {
		missing[user] = true
	}
	await(t, recoverWithin, "every file holds a live token", func() bool {
		for user := range missing {
			if alive, _ := o.server.introspect(t.Context(), d.content(user)); alive {
				delete(missing, user)
			}
		}
		return len(missing) == 0
	})
	o.slowest = max(o.slowest, time.Since(began))
}

func (o *oracle) examine(t *testing.T, d *daemon) {
	t.Helper()
	o.kills++
	store, err := file.Open(t.Context(), file.Options{Dir: d.state(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("open the state of a killed daemon: %v", err)
	}
	defer store.Close()
	o.server.mu.Lock()
	defer o.server.mu.Unlock()
	o.judgeJournal(t)
	clear(o.pending)
	for _, user := range o.users {
		record, err := store.Load(t.Context(), user)
		switch {
		case errors.Is(err, token.ErrNoRecord):
			o.absent(t, user, err)
		case err != nil:
			t.Errorf("%s: %v", user, err)
		default:
			o.compare(t, user, record, d.content(user))
		}
	}
}

// absent is right only as long as no answer was ever stored.
func (o *oracle) absent(t *testing.T, user string, err error) {
	t.Helper()
	if f := o.server.families[user]; f != nil && (f.boot != o.server.boot || f.latest.seq > 0) {
		t.Errorf("%s: the record is gone: %v", user, err)
	}
	o.lostLogins++
	o.pending[user] = &token.Intent{}
}

// compare checks one record and one file against the server.
func (o *oracle) compare(t *testing.T, user string, r token.Record, published string) {
	t.Helper()
	held, known := o.server.byRefresh[r.RefreshToken.Reveal()]
	if !known {
		t.Errorf("%s: the record holds a refresh token that was never issued", user)
		return
	}
	spent := r.Intent != nil && r.Intent.Spent == sha256.Sum256([]byte(held.refresh))
	if r.Intent != nil {
		if !spent {
			t.Errorf("%s: the intent names another refresh token than the record's", user)
		}
		o.pending[held.refresh] = r.Intent
		o.pending[user] = r.Intent
		o.ambiguous++
	}
	switch latest := o.server.families[user]; {
	case held.family != latest:
		// A login spends nothing, so that losing its answer loses nothing.
		if latest.boot != o.server.boot || latest.latest.seq > 0 {
			t.Errorf("%s: a login of an earlier start was never stored", user)
		}
		o.lostLogins++
		o.pending[user] = &token.Intent{}
	case held.family.latest == held:
	case held.family.latest.seq == held.seq+1 && spent:
		o.window++
	default:
		t.Errorf("%s: the server is at %d, the record at %d, intent %v: a refresh token was spent without a durable intent, or an answer was passed on without a commit",
			user, held.family.latest.seq, held.seq, r.Intent)
	}
	if shown, ok := o.server.byAccess[published]; ok && shown.family == held.family && shown.seq > held.seq {
		t.Errorf("%s: published %d, persisted %d", user, shown.seq, held.seq)
	}
}

// judgeJournal looks at the requests of the start that was just killed, in the
// light of what the kill before it left behind.
func (o *oracle) judgeJournal(t *testing.T) {
	t.Helper()
	for _, e := range o.server.journal[o.read:] {
		switch e.kind {
		case "unknown":
			t.Error("a refresh token was presented that was never issued")
		case "reuse":
			o.replays++
			if o.pending[e.refresh] == nil {
				t.Errorf("%s: a superseded refresh token was presented, and no attempt was ambiguous", e.user)
			}
		case "login":
			if e.boot == 1 {
				continue
			}
			o.relogins++
			if o.pending[e.user] == nil {
				t.Errorf("%s: logged in although its family was alive and no attempt was ambiguous", e.user)
			}
			delete(o.pending, e.user)
		}
	}
	o.read = len(o.server.journal)
}
