package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

const (
	defaultCheckEvery = time.Minute
	leastCheckEvery   = 100 * time.Millisecond
)

// Options describe one entry and what goes into it.
type Options struct {
	KV   *vault.KV
	Path string // below the mount

	// Data is what the entry holds, by key: nothing else.
	Data map[string]sinks.Format

	// Metadata is custom metadata of the path (version 2), by key. It is rendered
	// from a token whose access token is empty, because metadata is shown to more
	// people than data is. Other keys of the path are left alone.
	Metadata map[string]sinks.Format

	// MaxVersions is how many versions Vault keeps of the entry (version 2); 0
	// leaves that to the mount.
	MaxVersions int

	// CheckEvery is how often drift is looked for, 1 min when it is 0, at least
	// 100 ms. The monitor's rate makes it longer where there are many sinks.
	CheckEvery time.Duration
	Monitor    *Monitor // nil: no drift is looked for

	// Owns tells whether the token is this process's to write; nil: always. It is
	// asked between a look at the entry and a write over what was seen there, so
	// that a process which slept through the loss of its lease cannot put an old
	// generation over the one that its successor wrote.
	Owns func() bool
}

// Sink implements [sinks.Sink], [sinks.Checker], [sinks.Watcher] and
// [sinks.Remover]. Errors of Vault's are wrapped and have the method RetryAfter.
type Sink struct {
	o    Options
	made time.Time
	turn chan struct{} // holds one value while nobody has the fields below
	held held
}

// held is what this sink knows about the entry.
type held struct {
	version  int               // the newest that it has seen, of version 2
	sum      digest            // of the content that it left there; zero when that may be gone
	pending  digest            // of a write whose outcome nobody knows
	seen     bool              // the path's own metadata, as follows
	custom   map[string]string // all custom metadata
	versions int               // max_versions
	writes   uint64            // requests that may have changed the entry
	blind    bool              // the policy doesn't let us read metadata
}

var errForeign = errors.New("somebody else writes there at the same time")

// errDisowned is the answer to a write that another replica has to do by now.
var errDisowned = fmt.Errorf("the token belongs to another replica by now: %w", token.ErrFenced)

// New returns a sink and makes no request.
func New(o Options) (*Sink, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("vault entry %q: %w", o.Path, err)
	}
	if o.CheckEvery == 0 {
		o.CheckEvery = defaultCheckEvery
	}
	o.CheckEvery = max(o.CheckEvery, leastCheckEvery)
	s := &Sink{o: o, made: time.Now(), turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s, nil
}

func (o Options) validate() error {
	switch {
	case o.KV == nil:
		return errors.New("it has no mount")
	case o.Path == "" || strings.Trim(o.Path, "/") != o.Path || strings.Contains(o.Path, "//"):
		return errors.New("a path is written without a slash at its ends and without two in a row")
	case len(o.Data) == 0:
		return errors.New("it has no data: give at least one key")
	case len(o.Metadata) > maxCustom:
		return fmt.Errorf("custom metadata has at most %d keys", maxCustom)
	case o.MaxVersions < 0:
		return errors.New("max_versions is negative")
	}
	for key := range o.Data {
		if key == "" {
			return errors.New("a key of data is empty")
		}
	}
	for key := range o.Metadata {
		if key == "" || len(key) > maxCustomKey {
			return fmt.Errorf("a key of custom metadata has 1 to %d bytes", maxCustomKey)
		}
	}
	return nil
}

// take waits until nobody else has the sink, or ctx ends.
func (s *Sink) take(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Sink) giveBack() { s.turn <- struct{}{} }

// Write implements [sinks.Sink]. Where the data could be written and the custom
// metadata or max_versions could not, the error says so, and the data stays. An
// error that wraps [token.ErrFenced] says that Owns denied the write.
func (s *Sink) Write(ctx context.Context, t token.Token) (changed bool, err error) {
	if err := s.take(ctx); err != nil {
		return false, s.fail("write", err)
	}
	defer s.giveBack()
	changed, err = s.write(ctx, t)
	if err != nil {
		return false, s.fail("write", err)
	}
	return changed, nil
}

func (s *Sink) fail(what string, err error) error {
	return fmt.Errorf("%s the vault entry %s: %w", what, s.o.Path, err)
}
