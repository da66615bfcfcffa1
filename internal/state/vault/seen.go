package vault

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"strings"

	"github.com/tokend-project/tokend/internal/vault"
)

// The fields of an entry.
const (
	writeField       = "write"
	recordField      = "record"
	partsField       = "parts" // names, one a line
	deletedField     = "deleted"
	quarantinedField = "quarantined" // the path
	reasonField      = "reason"
	partField        = "part"
)

// seen is what this store knows of a record's entry, by its last write or read.
type seen struct {
	known  bool
	fenced bool // another owner wrote; nothing is written before the next Load
	at     version
	gone   bool     // there is no record, be it never written, deleted or in quarantine
	parts  []string // the pieces that the entry lists

	// open are the writes whose outcome is not known, by their ids. They can land
	// as long as the version is what it was when they were sent.
	open map[string]digest
}

type digest [sha256.Size]byte

// version identifies one write of an entry; the zero one is that nothing was ever
// written.
type version struct {
	number int
	write  string
	sum    digest
}

// object is an entry as it was read or is to be written.
type object struct {
	number int // Vault's
	data   map[string]any
}

// text returns a field, empty when there is none or it is no text.
func (o object) text(field string) string {
	text, _ := o.data[field].(string)
	return text
}

func (o object) parts() []string { return strings.Fields(o.text(partsField)) }

// sum is the digest of all data.
func (o object) sum() digest {
	text, err := json.Marshal(o.data) // keys are sorted
	if err != nil {
		return digest{} // it came out of JSON or has nothing but text
	}
	return sha256.Sum256(text)
}

func (o object) version() version {
	if o.number == 0 || o.data == nil {
		return version{number: o.number}
	}
	return version{number: o.number, write: o.text(writeField), sum: o.sum()}
}

func objectOf(e vault.Entry) object { return object{number: e.Version, data: maps.Clone(e.Data)} }

// verdict is what an entry that was read means to who wanted to write it.
type verdict uint8

const (
	unchanged verdict = iota // nobody wrote since
	own                      // a write of this store, whose outcome was open, has landed
	foreign
)

func (n *seen) judge(o object) verdict {
	now := o.version()
	switch sum, open := n.open[now.write]; {
	case now == n.at, now.number == n.at.number && o.data == nil: // somebody's deletion of a version is no write
		return unchanged
	case open && sum == now.sum:
		return own
	}
	return foreign
}

// adopt takes the entry for what the next write goes on top of.
func (n *seen) adopt(o object) {
	n.known, n.fenced = true, false
	n.at, n.parts = o.version(), o.parts()
	n.gone = o.data == nil || o.text(deletedField) != "" || o.text(quarantinedField) != ""
}

// landed notes a write of ours that is known to have taken effect: no earlier one
// can any more.
func (n *seen) landed(o object) {
	n.adopt(o)
	n.open = nil
}

// maxOpen is far more than there ever are: each is a Save that failed.
const maxOpen = 64

func (n *seen) leaveOpen(o object) {
	if n.open == nil || len(n.open) >= maxOpen {
		n.open = make(map[string]digest)
	}
	n.open[o.text(writeField)] = o.sum()
}
