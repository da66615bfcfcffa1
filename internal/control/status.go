package control

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Status is what the daemon tells about itself. It holds no secret.
type Status struct {
	Version   string         `json:"version"`
	PID       int            `json:"pid"`
	StartedAt time.Time      `json:"started_at"`
	Config    ConfigStatus   `json:"config"`
	State     StateStatus    `json:"state"`
	HA        *HAStatus      `json:"ha,omitempty"` // where several replicas share the tokens
	Delivery  DeliveryStats  `json:"delivery"`
	Tokens    []token.Status `json:"tokens"` // by name
}

// ConfigStatus tells which configuration runs, and whether a newer one was
// refused.
type ConfigStatus struct {
	Paths    []string       `json:"paths"`
	LoadedAt time.Time      `json:"loaded_at"`       // when the running configuration was loaded
	Error    *token.Problem `json:"error,omitempty"` // why the newest one does not run; the last good one does
	Warnings int            `json:"warnings"`
}

// StateStatus tells where the state is kept.
type StateStatus struct {
	Kind     string `json:"kind"`     // "file", "kubernetes_secret" or "vault_kv"
	Location string `json:"location"` // in words: a directory, a Secret's name
	Sealed   bool   `json:"sealed"`   // records are encrypted
}

// HAStatus tells how this replica stands among those that share the tokens.
type HAStatus struct {
	Identity string   `json:"identity"`
	Name     string   `json:"name"`              // of the Leases
	Shards   int      `json:"shards"`            // in all
	Held     []int    `json:"held"`              // by this replica
	Members  []string `json:"members"`           // the replicas that are alive, this one included
	Standby  bool     `json:"standby"`           // nothing is held
	Problem  string   `json:"problem,omitempty"` // why Leases cannot be renewed
}

// DeliveryStats sums up the times from a server's answer to a sink that holds it,
// in milliseconds, since the start of the daemon. Every write of a sink counts.
type DeliveryStats struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
}
