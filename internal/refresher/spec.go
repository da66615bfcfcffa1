package refresher

import (
	"context"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Source obtains tokens. Each call makes exactly one request, or none, and
// returns within ctx. An error is, or wraps, a [*token.Failure]; one that does
// not is taken for [token.Ambiguous], the class that promises least. Safe for
// concurrent use.
type Source interface {
	// Login spends nothing and may be repeated.
	Login(ctx context.Context) (token.Answer, error)

	// Refresh presents refreshToken (RFC 6749 section 6). An Answer beside an
	// error salvages the refresh token that replaced it.
	Refresh(ctx context.Context, refreshToken token.Secret) (token.Answer, error)

	// Seed is the refresh token that a person put into the configuration, for
	// grants that cannot log in without one; otherwise empty.
	Seed() token.Secret
}

// Store keeps records. Save is durable when it returns nil; when it returns an
// error the record may or may not be stored, and the caller must not act as if
// it were. An error that wraps [token.ErrFenced] means that another owner took
// over. Load's error wraps [token.ErrNoRecord] when there is nothing to load.
// Safe for concurrent use; concurrent Saves of one name are not made here.
type Store interface {
	Load(ctx context.Context, name string) (token.Record, error)
	Save(ctx context.Context, name string, r token.Record) error
	Delete(ctx context.Context, name string) error
}

// Gatherer is a Store that makes durable in one go what comes together. Expect says
// that n more calls of SaveExpected are likely within moments or, if n is negative,
// that so many will not come; SaveExpected is Save for one of them.
type Gatherer interface {
	Expect(n int)
	SaveExpected(ctx context.Context, name string, r token.Record) error
}

// Prefetcher is a Store that reads many records at once for less than one by one.
// The next Load of each name is answered from what Prefetch read.
type Prefetcher interface {
	Prefetch(ctx context.Context, names []string) error
}

// Sink is a place that holds the current generation. Write is idempotent and
// reports whether it changed anything. One Sink is never written twice at once.
//
// A Sink may also be a [Stager], a [Checker], a [Watcher] or a [Remover]. An error
// with a method RetryAfter() time.Duration, as of a server that answers 429, puts
// the next try off by that long.
type Sink interface {
	Write(ctx context.Context, t token.Token) (changed bool, err error)
}

// Stager is a Sink whose Write can be done in two steps. Stage prepares t durably
// without changing what readers see, so that it may run while the record is being
// made durable; publish then makes it visible, with the contract of Write.
// discard gives the preparation up, and does nothing after publish.
type Stager interface {
	Stage(ctx context.Context, t token.Token) (publish func(context.Context) (changed bool, err error), discard func(), err error)
}

// Checker proves a sink writable without changing it.
type Checker interface {
	Check(ctx context.Context) error
}

// Watcher calls drift, from any goroutine and possibly for no reason, when
// somebody else may have changed the sink.
type Watcher interface {
	Watch(drift func()) (stop func(), err error)
}

// Remover deletes what the sink holds, for a token that was removed.
type Remover interface {
	Remove(ctx context.Context) error
}

// Hook tells a consumer that the sinks hold a new generation.
type Hook interface {
	Run(ctx context.Context, u Update) error
}

// Update is what a hook may know.
type Update struct {
	Token      string
	Targets    []string // of the sinks that hold the generation
	ExpiresAt  time.Time
	Generation uint64

	// Conceal returns what is to be struck out of what the hook has printed so
	// far: a command may well print the file it was called for, and a refresh may
	// have replaced that meanwhile.
	Conceal func() []token.Secret
}

// Prober asks a resource whether it takes the token. refused means that the
// resource answered 401 (RFC 6750 section 3.1); an error is no statement about
// the token.
type Prober interface {
	Check(ctx context.Context, t token.Token) (refused bool, err error)
}

// Spec describes one token. It is immutable once it was applied, and may share
// what it points to with other Specs.
type Spec struct {
	Name     string
	Provider string // the lane: limits count over all tokens of a provider
	Grant    string
	// Binding is the fingerprint of who logs in, where and for what: token
	// endpoint, client_id, grant, user and scope. A stored refresh token is
	// never sent under another one; a change logs in anew.
	Binding string

	Source  Source
	Policy  *Policy
	Sinks   []SinkSpec
	Hook    Hook          // nil: none
	Probe   Prober        // nil: none
	ProbeAt time.Duration // the probe's interval

	// What the parts are made of, so that a change can be told.
	RequestPrint Fingerprint // how a request is made, and with which secrets: a change applies at the next one
	PolicyPrint  Fingerprint // a change plans anew
	HookPrint    Fingerprint
	ProbePrint   Fingerprint
}

// Policy is what the tokens of a provider mostly share.
type Policy struct {
	Schedule   Schedule
	Timeout    time.Duration // of one attempt; cut where less of the lifetime remains
	UseRefresh bool          // spend refresh tokens, rather than log in anew
	Grace      time.Duration // how long the server takes a rotated-out refresh token
}

// SinkSpec is a sink with its name and fingerprint.
type SinkSpec struct {
	Kind        string // names the pool that limits its writes
	Target      string
	Sink        Sink
	Remove      bool          // delete what it holds when the token is removed
	Propagation time.Duration // from the write until its readers see it; counts into the lead
	Fingerprint Fingerprint
}

// propagation is how long the slowest of the sinks takes to reach its readers.
func (s *Spec) propagation() (longest time.Duration) {
	for i := range s.Sinks {
		longest = max(longest, s.Sinks[i].Propagation)
	}
	return longest
}

// place is where a sink is: a Secret and an entry of Vault may have one name.
type place struct{ kind, target string }

func (s *SinkSpec) place() place { return place{s.Kind, s.Target} }

// Limits bound the requests to one provider.
type Limits struct {
	Concurrency int     // requests in flight; at least 1
	Rate        float64 // requests per second; 0 for no limit
}

// Fingerprint tells whether a part of a Spec has changed.
type Fingerprint [16]byte
