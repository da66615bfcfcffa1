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
	"github.com/tokend-project/tokend/test/testbed/strict"
	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// oracle compares what a killed daemon left behind with what the server knows.
type oracle struct {
	server  *strict.Server
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

func newOracle(s *strict.Server, users []string) *oracle {
	return &oracle{server: s, users: users, pending: map[string]bool{}}
}

func (o *oracle) fault(format string, args ...any) {
	o.faults = append(o.faults, fmt.Sprintf(format, args...))
}

func (o *oracle) String() string {
	return fmt.Sprintf("kill -9: %d kills, %d tokens, %d requests; %d pending intents, %d of them behind the server's commit; "+
		"%d logins and %d replays after those, none otherwise; all live again after at most %.2f s",
		o.kills, len(o.users), o.server.Requests(), o.ambiguous, o.window, o.relogins, o.replays, o.slowest.Seconds())
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
			if alive, _ := o.server.Introspect(t.Context(), d.Content(user)); alive {
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
	o.server.Lock()
	defer o.server.Unlock()
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
	if f := o.server.Families[user]; f != nil && (f.Boot != o.server.Boot || f.Latest.Seq > 0) {
		o.fault("%s: the record is gone: %v", user, err)
	}
	o.lostLogins++
	o.pending[user] = true
}

// compare checks one record and one file against the server.
func (o *oracle) compare(user string, r token.Record, published string) {
	held, known := o.server.ByRefresh[r.RefreshToken.Reveal()]
	if !known {
		o.fault("%s: the record holds a refresh token that was never issued", user)
		return
	}
	spent := r.Intent != nil && r.Intent.Spent == sha256.Sum256([]byte(held.Refresh))
	if r.Intent != nil {
		if !spent {
			o.fault("%s: the intent names another refresh token than the record's", user)
		}
		o.pending[held.Refresh] = true
		o.pending[user] = true
		o.ambiguous++
	}
	switch latest := o.server.Families[user]; {
	case held.Family != latest:
		// A login spends nothing, so that losing its answer loses nothing.
		if latest.Boot != o.server.Boot || latest.Latest.Seq > 0 {
			o.fault("%s: a login of an earlier start was never stored", user)
		}
		o.lostLogins++
		o.pending[user] = true
	case held.Family.Latest == held:
	case held.Family.Latest.Seq == held.Seq+1 && spent:
		o.window++
	default:
		o.fault("%s: the server is at %d, the record at %d, intent %v: a refresh token was spent without a durable intent, or an answer was passed on without a commit",
			user, held.Family.Latest.Seq, held.Seq, r.Intent)
	}
	if shown, ok := o.server.ByAccess[published]; ok && shown.Family == held.Family && shown.Seq > held.Seq {
		o.fault("%s: published %d, persisted %d", user, shown.Seq, held.Seq)
	}
}

// judgeJournal looks at the requests of the start that was just killed, in the
// light of what the kill before it left behind, and of answers that the daemon
// says it waited for in vain.
func (o *oracle) judgeJournal(lost func(user string) uint64) {
	for _, e := range o.server.Journal[o.read:] {
		switch e.Kind {
		case strict.Unknown:
			o.fault("a refresh token was presented that was never issued")
		case strict.Reuse:
			o.replays++
			if !o.pending[e.Refresh] {
				o.fault("%s: a superseded refresh token was presented, and no attempt was ambiguous", e.User)
			}
		case strict.Login:
			if e.Boot == 1 {
				continue
			}
			o.relogins++
			if !o.pending[e.User] && lost(e.User) == 0 {
				o.fault("%s: logged in although its family was alive and no attempt was ambiguous", e.User)
			}
			delete(o.pending, e.User)
		}
	}
	o.read = len(o.server.Journal)
}

// An oracle that sees nothing would pass everything, so each fault that it is
// there for is shown to it.
func TestOracleSeesWhatADaemonMustNotDo(t *testing.T) {
	t.Parallel()
	for name, misbehave := range map[string]func(*strict.Server, *oracle, *strict.Issue){
		"spends a refresh token without a durable intent": func(s *strict.Server, o *oracle, first *strict.Issue) {
			s.Refresh(first.Refresh)
			o.compare("ann", recordOf(first, false), "")
		},
		"publishes before it persists": func(s *strict.Server, o *oracle, first *strict.Issue) {
			s.Refresh(first.Refresh)
			o.compare("ann", recordOf(first, true), first.Family.Latest.Access)
		},
		"goes on from an answer that it did not store": func(s *strict.Server, o *oracle, first *strict.Issue) {
			s.Refresh(first.Refresh)
			s.Refresh(first.Family.Latest.Refresh)
			o.compare("ann", recordOf(first, true), "")
		},
		"writes an intent for another refresh token": func(_ *strict.Server, o *oracle, first *strict.Issue) {
			r := recordOf(first, true)
			r.Intent.Spent[0]++
			o.compare("ann", r, "")
		},
		"presents a superseded refresh token": func(s *strict.Server, o *oracle, first *strict.Issue) {
			s.Refresh(first.Refresh)
			s.Refresh(first.Refresh)
			o.judgeJournal(noneLost)
		},
		"logs in although its family lives": func(s *strict.Server, o *oracle, _ *strict.Issue) {
			s.Boot++
			s.Note(strict.Entry{User: "ann", Kind: strict.Login})
			o.judgeJournal(noneLost)
		},
		"loses its record": func(s *strict.Server, o *oracle, first *strict.Issue) {
			s.Refresh(first.Refresh)
			o.absent("ann", token.ErrNoRecord)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o, f := oneFamily(t)
			misbehave(s, o, f.Latest)
			if len(o.faults) != 1 {
				t.Errorf("faults: %q", o.faults)
			}
		})
	}
}

func TestOracleAllowsWhatNobodyCanPrevent(t *testing.T) {
	t.Parallel()
	s, o, f := oneFamily(t)
	first := f.Latest
	o.compare("ann", recordOf(first, false), first.Access)
	o.compare("ann", recordOf(first, true), first.Access) // not yet sent
	s.Refresh(first.Refresh)
	o.compare("ann", recordOf(first, true), first.Access) // committed there, not here
	s.Boot++
	s.Refresh(first.Refresh) // a replay that cannot know better
	s.Note(strict.Entry{User: "ann", Kind: strict.Login})
	o.judgeJournal(noneLost)
	if len(o.faults) > 0 || o.window != 1 || o.replays != 1 || o.relogins != 1 {
		t.Errorf("%s; faults: %q", o, o.faults)
	}
}

func oneFamily(t *testing.T) (*strict.Server, *oracle, *strict.Family) {
	t.Helper()
	s := strict.Start(t, time.Minute)
	s.Boot = 1
	f := &strict.Family{User: "ann", Boot: 1}
	s.Families["ann"] = f
	s.Issue(f)
	return s, newOracle(s, []string{"ann"}), f
}

func recordOf(i *strict.Issue, spent bool) token.Record {
	r := token.Record{RefreshToken: token.NewSecret(i.Refresh)}
	if spent {
		r.Intent = &token.Intent{Attempt: 1, Spent: sha256.Sum256([]byte(i.Refresh))}
	}
	return r
}

func noneLost(string) uint64 { return 0 }
