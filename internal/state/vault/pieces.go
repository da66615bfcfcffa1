package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/tokend-project/tokend/internal/vault"
)

// WritePiece implements [fenced.Pieces].
func (q *requests) WritePiece(ctx context.Context, name, id string, piece []byte) (called string, err error) {
	data := map[string]any{partField: base64.StdEncoding.EncodeToString(piece)}
	_, err = q.kv.Write(ctx, q.partPath(name, id), data, vault.At(0))
	return id, err
}

// ReadPiece implements [fenced.Pieces].
func (q *requests) ReadPiece(ctx context.Context, name, called string) ([]byte, error) {
	data, err := q.piece(ctx, name, called)
	if err != nil || data == nil {
		return nil, err
	}
	return decode(text(data, partField))
}

// piece returns the fields of a piece, nil where there is none.
func (q *requests) piece(ctx context.Context, name, called string) (map[string]any, error) {
	e, err := q.kv.Read(ctx, q.partPath(name, called))
	if errors.Is(err, vault.ErrNotFound) {
		return nil, nil //nolint:nilnil // that there is none is an answer
	}
	return e.Data, err
}

// ListPieces implements [fenced.Pieces].
func (q *requests) ListPieces(ctx context.Context, name string) ([]string, error) {
	return q.kv.List(ctx, strings.TrimSuffix(q.partPath(name, ""), "/"))
}

// DeletePiece implements [fenced.Pieces]. It destroys the piece.
func (q *requests) DeletePiece(ctx context.Context, name, called string) error {
	return q.kv.DestroyAll(ctx, q.partPath(name, called))
}
