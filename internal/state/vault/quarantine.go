package vault

import (
	"context"
	"encoding/hex"
	"errors"

	"github.com/tokend-project/tokend/internal/state/fenced"
	"github.com/tokend-project/tokend/internal/vault"
)

// Keep implements [fenced.Place]. The copy's name is the digest of what it holds, so
// that it is written once however often this is tried.
func (q *requests) Keep(ctx context.Context, name string, at mark, _ error) (where string, err error) {
	e, err := q.kv.Read(ctx, q.recordPath(name))
	switch {
	case errors.Is(err, vault.ErrNotFound), err == nil && (e.Deleted || e.Version != at.Version):
		return "", fenced.ErrOvertaken
	case err != nil:
		return "", err
	}
	for _, part := range entryOf(e).Pieces {
		if err := q.keepPiece(ctx, name, part); err != nil {
			return "", err
		}
	}
	sum := sumOf(e.Data)
	where = q.quarantinePath(name, hex.EncodeToString(sum[:8]))
	return where, q.writeOnce(ctx, where, e.Data)
}

// keepPiece copies a piece of a damaged record, if it is there, out of those that
// are destroyed when the record is replaced.
func (q *requests) keepPiece(ctx context.Context, name, part string) error {
	data, err := q.piece(ctx, name, part)
	if err != nil || data == nil {
		return err
	}
	return q.writeOnce(ctx, q.quarantinePath(name, part), data)
}

// writeOnce is done when something is there: the name says what.
func (q *requests) writeOnce(ctx context.Context, path string, data map[string]any) error {
	_, err := q.kv.Write(ctx, path, data, vault.At(0))
	if errors.Is(err, vault.ErrCAS) {
		return nil
	}
	return err
}
