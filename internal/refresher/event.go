package refresher

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Observer hears of what happened. Observe is called from many goroutines, must
// return quickly and cannot influence anything.
type Observer interface {
	Observe(e Event)
}

// Kind names what happened, as it stands in logs.
type Kind string

// The kinds of events.
const (
	Refreshed     Kind = "refreshed"       // a refresh brought a new generation
	LoggedIn      Kind = "logged_in"       // a login brought a new generation
	Resumed       Kind = "resumed"         // a stored token was taken up at start-up
	AttemptFailed Kind = "attempt_failed"  // a token request brought nothing
	RefreshDenied Kind = "refresh_refused" // a refresh was refused, and a login follows
	NeedsHuman    Kind = "needs_human"     // only a person can obtain the next token
	Salvaged      Kind = "salvaged"        // the refresh token of an otherwise unusable answer was kept
	Odd           Kind = "odd_answer"      // a tolerated deviation
	Expired       Kind = "expired"         // the access token ran out before a new one was had
	StateFailed   Kind = "state_failed"    // the state store did not take a record
	SinkWritten   Kind = "sink_written"
	SinkUnchanged Kind = "sink_unchanged"
	SinkRepaired  Kind = "sink_repaired" // a foreign change was put back
	SinkFailed    Kind = "sink_failed"
	SinkFight     Kind = "sink_contended" // somebody keeps changing the sink; repairs slow down
	HookRan       Kind = "hook_ran"
	HookFailed    Kind = "hook_failed"
	ProbeRefused  Kind = "probe_refused" // a resource answered 401
	ProbeFailed   Kind = "probe_failed"
	Throttled     Kind = "throttled" // the provider asked for a pause
	ClockStepped  Kind = "clock_stepped"
	Retired       Kind = "retired"
	Released      Kind = "released" // another replica keeps the token from now on
	Fenced        Kind = "fenced"   // another owner wrote the record; what was obtained is dropped
	Panicked      Kind = "panicked"
)

// Event is one thing that happened. Fields that do not fit the kind are zero.
// It holds no secret.
type Event struct {
	Kind       Kind
	At         time.Time
	Token      string
	Provider   string
	Generation uint64
	ExpiresAt  time.Time
	Next       time.Time // the next attempt
	Planned    time.Time // when this attempt was due
	Took       time.Duration
	SinkKind   string
	Target     string
	// SinceAnswer is the time from reading the server's answer to the sink
	// holding it, failed writes before it included; zero for repairs and for
	// what a start or a reload writes.
	SinceAnswer time.Duration
	Class       token.Class
	Detail      string
	Err         error
	Course      Course
}

// Course is how an attempt went, step by step. A step that was not taken is zero.
// A write that delivers what an attempt brought has its Answered, and nothing
// else: token and Answered name an attempt.
type Course struct {
	Grant     string
	Started   time.Time // when the attempt began
	Intended  time.Time // when the state store had taken the intent, or not
	IntentErr error
	Asked     time.Time // when the request began
	Answered  time.Time // when its answer was read, or given up
	Saved     time.Time // when the state store had taken the record, or not
	SaveErr   error
	Follows   time.Time // Answered of the refused refresh that a login follows
}

func (r *Refresher) emit(e Event) {
	if e.At.IsZero() {
		e.At = r.now()
	}
	for _, o := range r.observers {
		o.Observe(e)
	}
}
