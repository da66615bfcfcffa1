package devview

import (
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Frame is everything that one picture shows. It holds no secret. The caller
// must not change what a Frame refers to once it has handed it over.
type Frame struct {
	Now     time.Time
	Started time.Time
	Address string // the authorization server's base URL
	Dir     string // where the files are, absolute; sinks below it are shown relative to it

	// DirAsTyped is Dir as the user would type it, for a command to copy; empty
	// means Dir itself.
	DirAsTyped string

	Tokens   []token.Status
	Server   []Row
	Requests []Request // oldest first
	Events   []string  // what else happened, oldest first, a line each; shown where there is room
}

// Row is what the authorization server saw of one API.
type Row struct {
	API          string
	Logins       uint64
	Refreshes    uint64
	Refused      uint64
	Reuses       uint64 // superseded refresh tokens that were presented
	Accepted     uint64 // resource checks answered 200
	Unauthorized uint64 // resource checks answered 401
	Fault        string // the outage in force, in a word; empty without
}

// Request is one request that the authorization server saw.
type Request struct {
	At      time.Time
	API     string
	What    string // the grant, or "resource"
	Who     string // the account or client
	Outcome string // in words
	Bad     bool   // refused or failed
}
