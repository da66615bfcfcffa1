package fenced

import (
	"context"
	"fmt"
	"slices"
)

const (
	pieceSize = 512 << 10 // half of what places take: names, notes and base64 count into it
	maxPieces = 16        // far above any token endpoint's answer

	// MaxSize is how many bytes the largest record has that is stored, encoded.
	MaxSize = maxPieces * pieceSize
)

// cut returns the change that stores value, in pieces that it writes where value
// is large, and the pieces that are garbage once the change has landed.
func (s *Store[V]) cut(ctx context.Context, e *entry[V], name string, value []byte) (c Change, replaced []string, err error) {
	if len(value) > MaxSize {
		return Change{}, nil, fmt.Errorf("%d bytes are too many for %s", len(value), s.words.Entries)
	}
	large := len(value) > pieceSize
	if large || len(e.pieces) > 0 {
		// Those of a process that did not live to commit them are among them. Once
		// a write on top of what e knows has landed, nobody can commit anything
		// that refers to one of them.
		if replaced, err = s.place.ListPieces(ctx, name); err != nil {
			return Change{}, nil, err
		}
	}
	c.ID = s.newID()
	if !large {
		c.Record = value
		return c, replaced, nil
	}
	if c.Pieces, err = s.writePieces(ctx, name, value, c.ID); err != nil {
		s.drop(ctx, name, c.Pieces)
		return Change{}, nil, err
	}
	return c, replaced, nil
}

func (s *Store[V]) writePieces(ctx context.Context, name string, value []byte, id string) (all []string, err error) {
	for piece := range slices.Chunk(value, pieceSize) {
		called, err := s.place.WritePiece(ctx, name, fmt.Sprintf("%s-%d", id, len(all)), piece)
		all = append(all, called)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// drop deletes pieces that nothing refers to. One that stays is found at the next
// large record.
func (s *Store[V]) drop(ctx context.Context, name string, pieces []string) {
	for _, called := range pieces {
		if err := s.place.DeletePiece(ctx, name, called); err != nil {
			s.log.Warn("a piece of a replaced record could not be deleted", "token", name, "piece", called, "error", err)
		}
	}
}
