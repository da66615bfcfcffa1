package fenced

import (
	"context"
	"crypto/sha256"
	"errors"
)

// Place keeps an entry a record, and is used by many goroutines at once, though by
// one at a time for each name. V is what it needs to know of an entry in order to
// write on top of it: the zero V where nothing is, and nothing was ever written.
//
// A method makes as few requests as it can, bounds each, and sends none twice. Its
// errors say which request failed, at which entry.
type Place[V any] interface {
	// Admit proves what can be proven without writing, since a Save that fails
	// once there is something to save costs a login. It returns some of the
	// encoded records that are there, which tell the key they are sealed with.
	Admit(ctx context.Context) (sample [][]byte, err error)

	// Read returns the entry of name, and no error where there is none. What it
	// returns is the newest, never a cached one.
	Read(ctx context.Context, name string) (Entry[V], error)

	// ReadAll returns the entries of names, in their order.
	ReadAll(ctx context.Context, names []string) ([]Entry[V], error)

	// Write makes the change if the entry still is as over says, and returns what
	// is there then. With an error it returns what would be there, and whether that
	// can be so is the [Outcome]. The deletion of nothing need not be a request.
	Write(ctx context.Context, name string, over V, c Change) (Entry[V], Outcome, error)

	// Still reports whether no owner has written between the two: an entry may
	// have changed in other ways.
	Still(was, now Mark[V]) bool

	// Present proves that the place is there, where an entry that was there is
	// not: then it is the entry that somebody deleted.
	Present(ctx context.Context) error

	// Keep copies a damaged entry, with the pieces that are left of it, to where
	// nothing overwrites or deletes it, and returns where. To do it again is no
	// error. The error wraps [ErrOvertaken] when the entry is not as at any more.
	Keep(ctx context.Context, name string, at Mark[V], cause error) (where string, err error)

	// Where tells a person where the entry of name is.
	Where(name string) string

	Pieces
}

// Pieces keep what is too large for one entry.
type Pieces interface {
	// WritePiece stores a piece of the record of name under an id that was never
	// used before, and returns what it is to be called.
	WritePiece(ctx context.Context, name, id string, piece []byte) (called string, err error)

	// ReadPiece returns nil where there is none. The error wraps
	// [state.ErrDamaged] when the piece is not as it was written.
	ReadPiece(ctx context.Context, name, called string) ([]byte, error)

	// ListPieces returns all pieces of the record of name, also those that
	// nothing refers to.
	ListPieces(ctx context.Context, name string) (called []string, err error)

	// DeletePiece deletes a piece, and does nothing where there is none.
	DeletePiece(ctx context.Context, name, called string) error
}

// Entry is what lies under a name.
type Entry[V any] struct {
	Mark[V]
	Record []byte   // encoded; nil where it is in pieces, or is none
	Pieces []string // what its pieces are called

	Why  string // there is no record, and this is why; empty where one should be
	Gone bool   // there is nothing that could be deleted
	// Foreign is for what somebody else put there: it is not overwritten.
	Foreign error
}

// Mark identifies one write of an entry.
type Mark[V any] struct {
	Version V
	Write   string // the id of the [Change]; empty where there is none
	Sum     Sum    // of the data; the zero Sum where there are none
}

// Sum is a digest.
type Sum = [sha256.Size]byte

// wrote reports whether both are what one write leaves.
func (m Mark[V]) wrote(other Mark[V]) bool { return m.Write == other.Write && m.Sum == other.Sum }

// Change is what is to become of an entry: a record, its pieces, a note of where
// a damaged one was put, or nothing.
type Change struct {
	ID     string // never used before, by any store
	Record []byte
	Pieces []string

	Quarantined string // where
	Reason      string

	Delete bool
}

// Outcome is what is known of a write.
type Outcome uint8

// What became of a write.
const (
	Landed    Outcome = iota // without an error
	Lost                     // it may have landed, or may still
	Refused                  // it did not, and the reason is not another write
	Contested                // it did not, since the entry is not what it was
)

// ErrOvertaken says that an entry was replaced while it was being read.
var ErrOvertaken = errors.New("another owner replaces the record all the time")
