package token

import "time"

// State is the one word that status, health and metrics use for a token.
type State string

const (
	StatePending  State = "pending"  // no access token yet; the first login is due or under way
	StateFresh    State = "fresh"    // the current access token is valid and the last attempt succeeded
	StateRetrying State = "retrying" // the current access token is valid, the last attempt failed
	StateExpired  State = "expired"  // no valid access token
	StateHuman    State = "human"    // a person must act: the grant cannot log in by itself
	StateStandby  State = "standby"  // another replica keeps it
)

// Status is what a person or a program may know about a token. It holds no
// secret.
type Status struct {
	Name        string       `json:"name"`
	Provider    string       `json:"provider"`
	Grant       string       `json:"grant"`
	State       State        `json:"state"`
	Generation  uint64       `json:"generation"`
	IssuedAt    time.Time    `json:"issued_at,omitzero"`
	ExpiresAt   time.Time    `json:"expires_at,omitzero"`
	NextAttempt time.Time    `json:"next_attempt,omitzero"`
	NextKind    string       `json:"next_kind,omitempty"` // "refresh" or "login"
	Due         time.Time    `json:"-"`                   // when it is to be replaced, as planned when it came; retries do not move it
	InFlight    bool         `json:"in_flight"`
	Refreshable bool         `json:"refreshable"` // a refresh token is held and used
	Refreshes   uint64       `json:"refreshes"`   // answered refreshes since the start
	Logins      uint64       `json:"logins"`      // answered logins since the start
	Failures    int          `json:"failures"`    // failed attempts since the last success
	Attempts    uint64       `json:"attempts"`    // token requests since the start, whatever became of them
	LastSuccess time.Time    `json:"last_success,omitzero"`
	LastError   *Problem     `json:"last_error,omitempty"`
	Sinks       []SinkStatus `json:"sinks"`
	Hook        *HookStatus  `json:"hook,omitempty"`
	Probe       *ProbeStatus `json:"probe,omitempty"`
}

// Problem is a failure as it is shown: when, which class, in which words.
type Problem struct {
	At      time.Time `json:"at"`
	Class   string    `json:"class,omitempty"`
	Code    string    `json:"code,omitempty"`
	Message string    `json:"message"`
}

// SinkStatus is the state of one sink of a token.
type SinkStatus struct {
	Kind       string    `json:"kind"`       // "file", …
	Target     string    `json:"target"`     // where, in words: a path, a Secret's name
	Generation uint64    `json:"generation"` // the generation it holds; 0 for none known
	WrittenAt  time.Time `json:"written_at,omitzero"`
	Repairs    uint64    `json:"repairs"` // how often foreign changes were put back
	LastError  *Problem  `json:"last_error,omitempty"`
}

// HookStatus is the state of a token's on_update command.
type HookStatus struct {
	Generation uint64    `json:"generation"` // the generation it last ran for
	RanAt      time.Time `json:"ran_at,omitzero"`
	LastError  *Problem  `json:"last_error,omitempty"`
}

// ProbeStatus is the state of a token's probe.
type ProbeStatus struct {
	At        time.Time `json:"at,omitzero"`
	OK        bool      `json:"ok"`
	LastError *Problem  `json:"last_error,omitempty"`
}
