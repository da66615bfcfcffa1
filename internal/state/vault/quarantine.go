package vault

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

// quarantine copies a record that cannot be read into an entry of its own, empties
// the record's, and returns the error that Load shall return. The copy's name is the
// digest of what it holds, so that it is written once however often this is tried.
func (s *Store) quarantine(e *entry, name string, o object, cause error) error {
	ctx, cancel := s.detached()
	defer cancel()
	where, err := s.setAside(ctx, name, o)
	if err == nil {
		err = s.forgetOld(ctx, e, name)
	}
	if err == nil {
		err = s.commit(ctx, e, name, map[string]any{
			writeField: s.newID(), quarantinedField: where, reasonField: cause.Error(),
		})
	}
	if err != nil {
		return fmt.Errorf("putting it into quarantine: %w (%w)", err, cause)
	}
	s.log.Error("stored record is damaged and was put into quarantine; its token logs in anew",
		"token", name, "path", where, "error", cause)
	return fmt.Errorf("%w: it was put into quarantine, in %s (%w)", token.ErrNoRecord, where, cause)
}

func (s *Store) setAside(ctx context.Context, name string, o object) (where string, err error) {
	for _, part := range o.parts() {
		if err := s.keepPiece(ctx, name, part); err != nil {
			return "", err
		}
	}
	sum := o.sum()
	where = s.quarantinePath(name, hex.EncodeToString(sum[:8]))
	return where, s.writeOnce(ctx, where, o.data)
}

// keepPiece copies a piece of a damaged record, if it is there, out of those that
// are destroyed when the record is replaced.
func (s *Store) keepPiece(ctx context.Context, name, part string) error {
	piece, err := s.kv.Read(ctx, s.partPath(name, part))
	switch {
	case errors.Is(err, vault.ErrNotFound), err == nil && piece.Deleted:
		return nil
	case err != nil:
		return err
	}
	return s.writeOnce(ctx, s.quarantinePath(name, part), piece.Data)
}

// writeOnce is done when something is there: the name says what.
func (s *Store) writeOnce(ctx context.Context, path string, data map[string]any) error {
	_, err := s.kv.Write(ctx, path, data, vault.At(0))
	if errors.Is(err, vault.ErrCAS) {
		return nil
	}
	return err
}
