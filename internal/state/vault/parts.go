package vault

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/tokend-project/tokend/internal/vault"
)

const (
	pieceSize = 512 << 10 // in base64 two thirds of what most storages take
	maxPieces = 16        // far above any token endpoint's answer
)

// cut returns the data of an entry for value, in pieces that it writes where value
// is large, and the names of the pieces that are garbage once it has landed.
func (s *Store) cut(ctx context.Context, e *entry, name string, value []byte) (data map[string]any, replaced []string, err error) {
	if len(value) > maxPieces*pieceSize {
		return nil, nil, fmt.Errorf("%d bytes are too many for Vault", len(value))
	}
	large := len(value) > pieceSize
	if large || len(e.parts) > 0 {
		if replaced, err = s.pieces(ctx, e, name); err != nil {
			return nil, nil, err
		}
	}
	id := s.newID()
	if !large {
		return map[string]any{writeField: id, recordField: base64.StdEncoding.EncodeToString(value)}, replaced, nil
	}
	names, err := s.writePieces(ctx, name, value, id)
	if err != nil {
		s.drop(ctx, name, names)
		return nil, nil, err
	}
	return map[string]any{writeField: id, partsField: strings.Join(names, "\n")}, replaced, nil
}

func (s *Store) writePieces(ctx context.Context, name string, value []byte, id string) (names []string, err error) {
	for piece := range slices.Chunk(value, pieceSize) {
		part := fmt.Sprintf("%s-%d", id, len(names))
		names = append(names, part)
		text := base64.StdEncoding.EncodeToString(piece)
		if _, err := s.kv.Write(ctx, s.partPath(name, part), map[string]any{partField: text}, vault.At(0)); err != nil {
			return names, err
		}
	}
	return names, nil
}

// pieces lists the pieces of name's record, and those that a process left which did
// not live to commit them. Once a write on top of what e knows has landed, nobody
// can commit anything that refers to one of them.
func (s *Store) pieces(ctx context.Context, e *entry, name string) ([]string, error) {
	if len(e.parts) == 0 && e.at.number == 0 {
		return nil, nil
	}
	return s.kv.List(ctx, strings.TrimSuffix(s.partPath(name, ""), "/"))
}

// drop destroys pieces that nothing refers to. One that stays is found at the next
// large record.
func (s *Store) drop(ctx context.Context, name string, parts []string) {
	for _, part := range parts {
		if err := s.kv.DestroyAll(ctx, s.partPath(name, part)); err != nil {
			s.log.Warn("a piece of a replaced record could not be deleted", "token", name, "path", s.partPath(name, part), "error", err)
		}
	}
}
