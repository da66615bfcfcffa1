package fenced

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

// load reads the record of name and takes it over.
func (s *Store[V]) load(ctx context.Context, e *entry[V], name string) (token.Record, error) {
	o, ok := s.prefetched(e, name)
	for range Tries {
		if !ok {
			var err error
			if o, err = s.place.Read(ctx, name); err != nil {
				return token.Record{}, err
			}
		}
		ok = false
		r, err := s.take(ctx, e, name, o)
		if !errors.Is(err, ErrOvertaken) {
			return r, err
		}
	}
	return token.Record{}, ErrOvertaken
}

// take adopts o and returns the record in it.
func (s *Store[V]) take(ctx context.Context, e *entry[V], name string, o Entry[V]) (token.Record, error) {
	if o.Why != "" {
		e.adopt(o)
		return token.Record{}, fmt.Errorf("%w: %s", token.ErrNoRecord, o.Why)
	}
	value, err := s.value(ctx, name, o)
	if err != nil && !errors.Is(err, state.ErrDamaged) {
		return token.Record{}, err
	}
	var r token.Record
	if err == nil {
		r, err = s.codec.Decode(name, value)
	}
	switch {
	case errors.Is(err, state.ErrKey):
		// Not damage, but most likely a key that was changed: the record is good
		// for whoever has the old one.
		return token.Record{}, fmt.Errorf("%s: %w; give the key back, or %s so that the token logs in anew", s.where(name), err, s.words.GiveUp)
	case err != nil && o.Foreign != nil:
		return token.Record{}, o.Foreign
	case err != nil:
		e.adopt(o)
		return token.Record{}, s.quarantine(e, name, err)
	}
	e.adopt(o)
	return r, nil
}

// value returns the bytes of the record in o, pieces and all.
func (s *Store[V]) value(ctx context.Context, name string, o Entry[V]) ([]byte, error) {
	if len(o.Pieces) == 0 {
		return o.Record, nil
	}
	var value []byte
	for _, called := range o.Pieces {
		piece, err := s.place.ReadPiece(ctx, name, called)
		if err != nil {
			return nil, err
		}
		if piece == nil {
			return nil, s.lacks(ctx, name, o, called)
		}
		value = append(value, piece...)
	}
	return value, nil
}

// lacks tells a piece that was deleted because its record was replaced from one
// that is lost.
func (s *Store[V]) lacks(ctx context.Context, name string, o Entry[V], called string) error {
	now, err := s.place.Read(ctx, name)
	if err != nil {
		return err
	}
	if !now.wrote(o.Mark) {
		return ErrOvertaken
	}
	return fmt.Errorf("%w: its piece %s is gone", state.ErrDamaged, called)
}

func (s *Store[V]) where(name string) string { return s.words.Entry + " " + s.place.Where(name) }
