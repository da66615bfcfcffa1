package vault

import (
	"context"
	"errors"

	"github.com/tokend-project/tokend/internal/vault"
)

// Check implements [sinks.Checker]: it asks Vault whether the token that tokend
// has there may write the entry. The error names what a policy has to grant.
func (s *Sink) Check(ctx context.Context) error {
	if ctx.Err() != nil {
		return s.fail("check", context.Cause(ctx))
	}
	if err := s.check(ctx); err != nil {
		return s.fail("check", err)
	}
	return nil
}

func (s *Sink) check(ctx context.Context) error {
	if s.labels() {
		version, err := s.o.KV.Version(ctx)
		if err != nil {
			return err
		}
		if version != 2 {
			return errNoMetadata
		}
	}
	return s.o.KV.Check(ctx, s.o.Path)
}

// Remove implements [sinks.Remover]. What somebody else has put into the entry
// since is not the token, and stays. On version 2 the newest version is deleted
// the way that can be undone; older versions and the metadata stay, for they may
// be older than tokend's use of the path.
func (s *Sink) Remove(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return s.fail("remove", err)
	}
	defer s.giveBack()
	if err := s.remove(ctx); err != nil {
		return s.fail("remove", err)
	}
	s.held = held{writes: s.held.writes}
	return nil
}

func (s *Sink) remove(ctx context.Context) error {
	entry, err := s.o.KV.Read(ctx, s.o.Path)
	switch {
	case errors.Is(err, vault.ErrNotFound), errors.Is(err, vault.ErrNoMount):
		return nil
	case err != nil:
		return err
	case entry.Deleted:
		return nil
	}
	ours := digestOf(entry.Data)
	if written := s.held.sum != (digest{}); written && ours != s.held.sum && ours != s.held.pending {
		return nil
	}
	if err := s.owned(); err != nil {
		return err
	}
	s.held.writes++
	return s.o.KV.Delete(context.WithoutCancel(ctx), s.o.Path)
}
