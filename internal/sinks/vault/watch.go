package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokend-project/tokend/internal/vault"
)

// Watch implements [sinks.Watcher].
func (s *Sink) Watch(drift func()) (stop func(), err error) {
	if s.o.Monitor == nil {
		return nil, fmt.Errorf("watch the vault entry %s: the sink has no monitor", s.o.Path)
	}
	return s.o.Monitor.watch(s, s.o.CheckEvery, drift), nil
}

// glance is what a look for drift compares with.
func (s *Sink) glance() (h held, free bool) {
	select {
	case <-s.turn:
		defer s.giveBack()
		return s.held, true
	default:
		return held{}, false
	}
}

// drifted makes one request, and none for an entry that was never written or is
// being written. The error is one of the server's, and says nothing about the
// entry.
func (s *Sink) drifted(ctx context.Context) (bool, error) {
	before, free := s.glance()
	if !free || before.sum == (digest{}) {
		return false, nil
	}
	seen, err := s.inspect(ctx, before)
	switch {
	case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrNoMount):
		seen = sight{drifted: true}
	case err != nil:
		return false, err
	}
	select {
	case <-s.turn:
		defer s.giveBack()
	default:
		return false, nil // whoever writes finds out
	}
	if s.held.writes != before.writes {
		return false, nil // what was seen is older than what was written
	}
	s.held.custom = seen.custom
	s.held.blind = s.held.blind || seen.blind
	return seen.drifted, nil
}

// sight is what one request showed.
type sight struct {
	drifted bool
	custom  map[string]string
	blind   bool
}

func (s *Sink) inspect(ctx context.Context, h held) (sight, error) {
	version, err := s.o.KV.Version(ctx)
	if err != nil {
		return sight{}, err
	}
	if version == 2 && !h.blind {
		m, err := s.o.KV.Metadata(ctx, s.o.Path)
		if !errors.Is(err, vault.ErrDenied) {
			return sight{drifted: m.Version != h.version || m.Deleted || s.relabelled(h, m.Custom), custom: m.Custom}, err
		}
	}
	entry, err := s.o.KV.Read(ctx, s.o.Path)
	return sight{
		drifted: entry.Deleted || digestOf(entry.Data) != h.sum,
		custom:  entry.Metadata,
		blind:   version == 2 && err == nil,
	}, err
}

// relabelled tells whether a configured key of the custom metadata is another's.
func (s *Sink) relabelled(h held, now map[string]string) bool {
	for key := range s.o.Metadata {
		if now[key] != h.custom[key] {
			return true
		}
	}
	return false
}
