package observe

import (
	"context"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Source is what health is asked of. Status returns the tokens by name.
type Source interface {
	Alive(ctx context.Context) error
	Status() []token.Status
}

// Daemon is what metrics are asked of. Its methods are safe for concurrent use.
// Status and Each tell of the same tokens; Each takes no list of them, and what it
// hands to f must not be kept.
type Daemon interface {
	Status() []token.Status
	Each(f func(*token.Status))
	Facts() Facts
}

// Facts are what a daemon knows beside its tokens. They hold no secret.
type Facts struct {
	Tokens       int       // that are configured, whoever keeps them
	LoadedAt     time.Time // when the running configuration was loaded
	Refused      bool      // a newer configuration cannot be used
	ConfigHash   string    // of the running configuration, its secrets left out
	Certificates []Certificate
	Replica      *Replica // nil where no replicas share the tokens
}

// Certificate is the end of a certificate that requests to a provider depend on.
type Certificate struct {
	Provider string
	Use      string    // "client" or "ca"
	NotAfter time.Time // of the first to end, where a file holds several
}

// Replica is how this daemon stands among those that share the tokens.
type Replica struct {
	Lease   string // what the names of the Leases begin with
	Shards  int
	Held    []int // by this replica
	Members int   // replicas that are alive, this one included
	Trouble bool  // Leases cannot be renewed
}
