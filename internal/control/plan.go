package control

// Fingerprints tells what runs without telling it: for every token a keyed hash
// of each part of its configuration. Whoever holds the salt and a configuration
// can say which parts of it would change; nobody can read a value back. A weak
// password could be guessed from its hash, so the fingerprints go only to those
// who may read the tokens themselves.
type Fingerprints struct {
	Salt   []byte                       `json:"salt"`   // at least 16 random bytes, new at every start of the daemon
	Tokens map[string]map[string]string `json:"tokens"` // token name → part, such as "grant" or "sinks" → hash
}

// Plan is what a reload would do.
type Plan struct {
	Running bool     `json:"running"` // a daemon answered; without one every token is started
	Changes []Change `json:"changes"` // by token name
}

// The actions of a [Change].
const (
	ActionStart  = "start"  // the token is new
	ActionKeep   = "keep"   // nothing changes: its schedule goes on
	ActionChange = "change" // the token takes the new configuration
	ActionRetire = "retire" // the token finishes what is in flight and ends
)

// Change is what a reload would do to one token.
type Change struct {
	Token   string   `json:"token"`
	Action  string   `json:"action"`            // one of the Action constants
	Request string   `json:"request,omitempty"` // the token request it causes at once: "login", "refresh" or none
	Details []string `json:"details,omitempty"` // what changes, in words and without any secret
}
