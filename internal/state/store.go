package state

import (
	"context"
	"errors"

	"github.com/tokend-project/tokend/internal/token"
)

var (
	// ErrDamaged is wrapped by the error for a record that is torn, altered,
	// filed under another name or of an unknown version.
	ErrDamaged = errors.New("damaged record")

	// ErrKey is wrapped by the error for a state key that is too short, wrong,
	// or missing although there are sealed records.
	ErrKey = errors.New("state key")
)

// Store keeps one record a token. All methods may be called from many
// goroutines at once.
//
// Names satisfy [token.ValidName]; any other is an error and is not stored.
type Store interface {
	// Load returns the record that the last Save of name stored. The error
	// wraps [token.ErrNoRecord] when there is none, be it that none was saved
	// or that it was damaged; the message says which. A damaged record is moved
	// into the store's quarantine, byte by byte, and is neither overwritten nor
	// deleted there. Any other error means that the store could not be read:
	// whether there is a record is unknown.
	Load(ctx context.Context, name string) (token.Record, error)

	// Save stores r under name. When it returns nil the record is durable: it
	// outlives a kill of the process and a loss of power.
	//
	// Saves of one name take effect in the order of their calls, where one call
	// returned, or its ctx ended, before the next began; Saves that overlap
	// take effect in some order. Saves of different names don't wait for each
	// other longer than one commit.
	//
	// An error that wraps [token.ErrFenced] means that another owner has taken
	// over: nothing was written, and nothing will be. Every other error leaves
	// it open which of the two records, the old one or r, a later Load returns:
	// a commit that failed at its last step may still reach the disk. A store
	// tries the disk again at the next call, so that it recovers when the disk
	// does.
	//
	// ctx ends only the waiting. When it had ended before the call, nothing is
	// written. When it ends later, Save returns [context.Cause] wrapped, the
	// write goes on, and its outcome is unknown as above; a Save of the same
	// name that is called after it still comes after it.
	Save(ctx context.Context, name string, r token.Record) error

	// Delete removes the record of name, durably, as Save stores it and with
	// the same errors. To delete a record that does not exist is no error.
	// Records in quarantine stay.
	Delete(ctx context.Context, name string) error

	// Close waits for what was called before it, then releases the store to the
	// next owner. Later calls return an error that wraps [os.ErrClosed]. Closing
	// twice is no error.
	Close() error
}

// Gatherer is a [Store] that makes durable in one go what comes together, and that
// waits a moment for what it was told of: it never waits long for it.
type Gatherer interface {
	// Expect says that n more calls of SaveExpected are likely within moments or,
	// if n is negative, that so many will not come after all.
	Expect(n int)

	// SaveExpected is Save for a record that was expected, and is expected no more.
	SaveExpected(ctx context.Context, name string, r token.Record) error
}

// Prefetcher is a [Store] that can read many records at once, for places where
// each Load alone costs a round trip.
type Prefetcher interface {
	// Prefetch reads the records of names, in few requests; the next Load of
	// each of them that follows soon is answered from what was read, unless the
	// record was saved or deleted here meanwhile. What Prefetch read may be
	// overtaken by another owner like what Load returned: the next Save finds
	// that out.
	//
	// It only saves time: after an error, every Load reads for itself. An error
	// says that the place could not be read, or that a name is not valid.
	Prefetch(ctx context.Context, names []string) error
}
