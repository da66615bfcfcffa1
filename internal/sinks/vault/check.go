package vault

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/vault"
)

// provenFor is how long one entry speaks for the others in its folder.
const provenFor = time.Minute

// Check implements [sinks.Checker]: it asks Vault whether the token that tokend
// has there may write the entry. The error names what a policy has to grant.
//
// Policies are mostly written for folders, and a fleet is checked all at once. So
// where an entry may be written, those in the same folder whose sinks have the same
// monitor are not asked about for a minute.
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
	folder := folder{s.o.KV, s.o.Path[:strings.LastIndexByte(s.o.Path, '/')+1]}
	if s.o.Monitor != nil && s.o.Monitor.proven.lately(folder) {
		return nil
	}
	err := s.o.KV.Check(ctx, s.o.Path)
	if err == nil && s.o.Monitor != nil {
		s.o.Monitor.proven.note(folder)
	}
	return err
}

// folder is where entries lie together.
type folder struct {
	kv   *vault.KV
	path string
}

// proofs remembers which folders may be written.
type proofs struct {
	mu sync.Mutex
	at map[folder]time.Time
}

func (p *proofs) lately(f folder) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, ok := p.at[f]
	return ok && time.Since(at) < provenFor
}

func (p *proofs) note(f folder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, at := range p.at {
		if time.Since(at) >= provenFor {
			delete(p.at, other)
		}
	}
	if p.at == nil {
		p.at = map[folder]time.Time{}
	}
	p.at[f] = time.Now()
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
