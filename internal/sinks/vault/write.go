package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

// rounds is how often a write that others got ahead of is begun anew.
const rounds = 3

// errNoMetadata is the answer to what version 1 cannot do.
var errNoMetadata = errors.New("the mount is of KV version 1, which has neither metadata nor max_versions")

func (s *Sink) write(ctx context.Context, t token.Token) (changed bool, err error) {
	want, err := s.render(t)
	if err != nil {
		return false, err
	}
	version, err := s.o.KV.Version(ctx)
	if err != nil {
		return false, err
	}
	if s.labels() && version != 2 {
		return false, errNoMetadata
	}
	if changed, err = s.put(ctx, want, version); err != nil {
		return false, err
	}
	labelled, err := s.label(ctx, want)
	if err != nil {
		return false, fmt.Errorf("the data is written, but not the metadata: %w", err)
	}
	return changed || labelled, nil
}

// labels tells whether there is anything to set in the path's own metadata.
func (s *Sink) labels() bool { return len(s.o.Metadata) > 0 || s.o.MaxVersions > 0 }

// put makes the entry hold want. It looks at the entry first where it may hold
// that already, and after a write with no clear outcome.
func (s *Sink) put(ctx context.Context, want content, version int) (changed bool, err error) {
	unknown := s.held.sum == digest{}
	look := s.held.sum == want.sum || s.held.pending == want.sum || unknown && !want.fresh
	for range rounds {
		if look {
			same, err := s.look(ctx, want)
			if err != nil {
				return false, err
			}
			if same {
				changed = s.held.pending == want.sum
				s.held.sum, s.held.pending = want.sum, digest{}
				return changed, nil
			}
		}
		if err := s.owned(); err != nil {
			return false, err
		}
		going := context.WithoutCancel(ctx) // the content begins to be replaced
		err = s.send(going, want, version)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, vault.ErrAmbiguous):
			return s.find(going, want, err)
		case !errors.Is(err, vault.ErrCAS):
			return false, err
		}
		look = true
	}
	return false, errors.Join(errForeign, err)
}

// send does the one request.
func (s *Sink) send(ctx context.Context, want content, version int) error {
	cas := vault.CAS{}
	if version == 2 {
		cas = vault.At(s.held.version)
	}
	s.held.writes++
	made, err := s.o.KV.Write(ctx, s.o.Path, want.data, cas)
	switch {
	case err == nil:
		s.held.version, s.held.sum, s.held.pending = made, want.sum, digest{}
	case errors.Is(err, vault.ErrAmbiguous):
		s.held.sum, s.held.pending = digest{}, want.sum
	case errors.Is(err, vault.ErrCAS):
		s.held.sum = digest{}
	}
	return err
}

// find looks for a write whose answer got lost. Where it isn't there, the next
// Write tries again: it may still be under way, and then its version shows.
// Nor is it looked for now where no answer came in time: the look would wait as
// long, and hold up the sinks behind this one.
func (s *Sink) find(ctx context.Context, want content, lost error) (changed bool, err error) {
	if errors.Is(lost, context.DeadlineExceeded) {
		return false, lost
	}
	same, err := s.look(ctx, want)
	if err != nil || !same {
		return false, lost
	}
	s.held.sum, s.held.pending = want.sum, digest{}
	return true, nil
}

// look reads the entry, and tells whether it holds what is wanted.
func (s *Sink) look(ctx context.Context, want content) (same bool, err error) {
	entry, err := s.o.KV.Read(ctx, s.o.Path)
	switch {
	case errors.Is(err, vault.ErrNotFound):
		s.held.version, s.held.seen = 0, false
		return false, nil
	case err != nil:
		return false, err
	}
	s.held.version, s.held.custom = entry.Version, entry.Metadata
	return !entry.Deleted && digestOf(entry.Data) == want.sum, nil
}

// label sets the custom metadata and max_versions, where they aren't as they
// should be.
func (s *Sink) label(ctx context.Context, want content) (changed bool, err error) {
	if !s.labels() {
		return false, nil
	}
	if err := s.study(ctx); err != nil {
		return false, err
	}
	all := maps.Clone(want.custom)
	for key, value := range s.held.custom {
		if _, ours := all[key]; !ours {
			all[key] = value
		}
	}
	keep := s.o.MaxVersions
	if keep == s.held.versions {
		keep = 0
	}
	if keep == 0 && maps.Equal(all, s.held.custom) {
		return false, nil
	}
	if err := s.owned(); err != nil {
		return false, err
	}
	s.held.writes++
	s.held.seen = false // until it is known to have gone well
	if err := s.o.KV.PutMetadata(context.WithoutCancel(ctx), s.o.Path, all, keep); err != nil {
		return false, err
	}
	s.held.seen, s.held.custom, s.held.versions = true, all, s.o.MaxVersions
	return true, nil
}

// study reads the path's own metadata, once in the life of a sink if all goes
// well. Keys of others are kept up to date by the looks for drift.
func (s *Sink) study(ctx context.Context) error {
	if s.held.seen {
		return nil
	}
	m, err := s.o.KV.Metadata(ctx, s.o.Path)
	if err != nil {
		return err
	}
	s.held.seen, s.held.custom, s.held.versions = true, m.Custom, m.MaxVersions
	return nil
}

func (s *Sink) owned() error {
	if s.o.Owns != nil && !s.o.Owns() {
		return errDisowned
	}
	return nil
}
