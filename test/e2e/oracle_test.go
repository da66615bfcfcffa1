package e2e

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state/file"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// oracle compares what a killed daemon left behind with what the server knows.
type oracle struct {
	server  *strict
	users   []string
	pending map[string]bool // users and refresh tokens whose attempt the last kill left open
	read    int             // how far the journal was judged
	faults  []string

	kills      int
	ambiguous  int // intents that were pending at a kill
	window     int // of these, how often the server had committed
	lostLogins int // first answers that a kill kept from being stored
	relogins   int // logins after a pending intent
	replays    int // superseded refresh tokens that were shown after a pending intent
	slowest    time.Duration
}

func newOracle(s *strict, users []string) *oracle {
	return &oracle{server: s, users: users, pending: map[string]bool{}}
}

func (o *oracle) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *oracle) String() string {
	return fmt.Sprintf("kill -9: %d kills, %d tokens, %d requests; %d pending intents, %d of them behind the server's commit; "+
		"%d logins and %d replays after those, none otherwise; all live again after at most %.2f s",
		o.kills, len(o.users), o.server.requests(), o.ambiguous, o.window, o.relogins, o.replays, o.slowest.Seconds())
}

// allLive waits until each file was seen to hold a live token.
func (o *oracle) allLive(t *testing.T, d *tokend.Daemon) {
	t.Helper()
	began := time.Now()
	missing := make(map[string]bool, len(o.users))
	for _, user := range o.users {
		missing[user] = true
	}
	tokend.Await(t, recoverWithin, "every file holds a live token", func() bool {
		for user := range missing {
			if alive, _ := o.server.introspect(t.Context(), d.Content(user)); alive {
				delete(missing, user)
			}
		}
		return len(missing) == 0
	})
	o.slowest = max(o.slowest, time.Since(began))
}

func (o *oracle) examine(t *testing.T, d *tokend.Daemon) {
	t.Helper()
	o.kills++
	store, err := file.Open(t.Context(), file.Options{Dir: d.State(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("open the state of a killed daemon: %v", err)
	}
	defer store.Close()
	o.server.mu.Lock()
	defer o.server.mu.Unlock()
	o.judgeJournal(d.LostAnswers)
	clear(o.pending)
	for _, user := range o.users {
		record, err := store.Load(t.Context(), user)
		switch {
		case errors.Is(err, token.ErrNoRecord):
			o.absent(user, err)
		case err != nil:
			o.fault("%s: %v", user, err)
		default:
			o.compare(user, record, d.Content(user))
		}
	}
}

// absent is right only as long as no answer was ever stored.
func (o *oracle) absent(user string, err error) {
	if f := o.server.families[user]; f != nil && (f.boot != o.server.boot || f.latest.seq > 0) {
		o.fault("%s: the record is gone: %v", user, err)
	}
	o.lostLogins++
	o.pending[user] = true
}

// compare checks one record and one file against the server.
func (o *oracle) compare(user string, r token.Record, published string) {
	held, known := o.server.byRefresh[r.RefreshToken.Reveal()]
	if !known {
		o.fault("%s: the record holds a refresh token that was never issued", user)
		return
	}
	spent := r.Intent != nil && r.Intent.Spent == sha256.Sum256([]byte(held.refresh))
	if r.Intent != nil {
		if !spent {
			o.fault("%s: the intent names another refresh token than the record's", user)
		}
		o.pending[held.refresh] = true
		o.pending[user] = true
		o.ambiguous++
	}
	switch latest := o.server.families[user]; {
	case held.family != latest:
		// A login spends nothing, so that losing its answer loses nothing.
		if latest.boot != o.server.boot || latest.latest.seq > 0 {
			o.fault("%s: a login of an earlier start was never stored", user)
		}
		o.lostLogins++
		o.pending[user] = true
	case held.family.latest == held:
	case held.family.latest.seq == held.seq+1 && spent:
		o.window++
	default:
		o.fault("%s: the server is at %d, the record at %d, intent %v: a refresh token was spent without a durable intent, or an answer was passed on without a commit",
			user, held.family.latest.seq, held.seq, r.Intent)
	}
	if shown, ok := o.server.byAccess[published]; ok && shown.family == held.family && shown.seq > held.seq {
		o.fault("%s: published %d, persisted %d", user, shown.seq, held.seq)
	}
}

// judgeJournal looks at the requests of the start that was just killed, in the
// light of what the kill before it left behind, and of answers that the daemon
// says it waited for in vain.
func (o *oracle) judgeJournal(lost func(user string) uint64) {
	for _, e := range o.server.journal[o.read:] {
		switch e.kind {
		case "unknown":
			o.fault("a refresh token was presented that was never issued")
		case "reuse":
			o.replays++
			if !o.pending[e.refresh] {
				o.fault("%s: a superseded refresh token was presented, and no attempt was ambiguous", e.user)
			}
		case "login":
			if e.boot == 1 {
				continue
			}
			o.relogins++
			if !o.pending[e.user] && lost(e.user) == 0 {
				o.fault("%s: logged in although its family was alive and no attempt was ambiguous", e.user)
			}
			delete(o.pending, e.user)
		}
	}
	o.read = len(o.server.journal)
}

// An oracle that sees nothing would pass everything, so each fault that it is
// there for is shown to it.
func TestOracleSeesWhatADaemonMustNotDo(t *testing.T) {
	t.Parallel()
	for name, misbehave := range map[string]func(*strict, *oracle, *issue){
		"spends a refresh token without a durable intent": func(s *strict, o *oracle, first *issue) {
			s.refresh(first.refresh)
			o.compare("ann", recordOf(first, false), "")
		},
		"publishes before it persists": func(s *strict, o *oracle, first *issue) {
			s.refresh(first.refresh)
			o.compare("ann", recordOf(first, true), first.family.latest.access)
		},
		"goes on from an answer that it did not store": func(s *strict, o *oracle, first *issue) {
			s.refresh(first.refresh)
			s.refresh(first.family.latest.refresh)
			o.compare("ann", recordOf(first, true), "")
		},
		"writes an intent for another refresh token": func(_ *strict, o *oracle, first *issue) {
			r := recordOf(first, true)
			r.Intent.Spent[0]++
			o.compare("ann", r, "")
		},
		"presents a superseded refresh token": func(s *strict, o *oracle, first *issue) {
			s.refresh(first.refresh)
			s.refresh(first.refresh)
			o.judgeJournal(noneLost)
		},
		"logs in although its family lives": func(s *strict, o *oracle, _ *issue) {
			s.boot++
			s.note(entry{user: "ann", kind: "login"})
			o.judgeJournal(noneLost)
		},
		"loses its record": func(s *strict, o *oracle, first *issue) {
			s.refresh(first.refresh)
			o.absent("ann", token.ErrNoRecord)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o, f := oneFamily(t)
			misbehave(s, o, f.latest)
			if len(o.faults) != 1 {
				t.Errorf("faults: %q", o.faults)
			}
		})
	}
}

func TestOracleAllowsWhatNobodyCanPrevent(t *testing.T) {
	t.Parallel()
	s, o, f := oneFamily(t)
	first := f.latest
	o.compare("ann", recordOf(first, false), first.access)
	o.compare("ann", recordOf(first, true), first.access) // not yet sent
	s.refresh(first.refresh)
	o.compare("ann", recordOf(first, true), first.access) // committed there, not here
	s.boot++
	s.refresh(first.refresh) // a replay that cannot know better
	s.note(entry{user: "ann", kind: "login"})
	o.judgeJournal(noneLost)
	if len(o.faults) > 0 || o.window != 1 || o.replays != 1 || o.relogins != 1 {
		t.Errorf("%s; faults: %q", o, o.faults)
	}
}

func oneFamily(t *testing.T) (*strict, *oracle, *family) {
	t.Helper()
	s := startStrict(t, time.Minute)
	s.boot = 1
	f := &family{user: "ann", boot: 1}
	s.families["ann"] = f
	s.issue(f)
	return s, newOracle(s, []string{"ann"}), f
}

func recordOf(i *issue, spent bool) token.Record {
	r := token.Record{RefreshToken: token.NewSecret(i.refresh)}
	if spent {
		r.Intent = &token.Intent{Attempt: 1, Spent: sha256.Sum256([]byte(i.refresh))}
	}
	return r
}

func noneLost(string) uint64 { return 0 }
