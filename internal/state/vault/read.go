package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

// errOvertaken says that the entry was replaced while it was being read.
var errOvertaken = errors.New("another owner replaces the record all the time")

// load reads the record of name and takes it over.
func (s *Store) load(ctx context.Context, e *entry, name string) (token.Record, error) {
	o, ok := s.prefetched(e, name)
	for range tries {
		if !ok {
			var err error
			if o, err = s.get(ctx, name); err != nil {
				return token.Record{}, err
			}
		}
		ok = false
		r, err := s.take(ctx, e, name, o)
		if !errors.Is(err, errOvertaken) {
			return r, err
		}
	}
	return token.Record{}, errOvertaken
}

// take adopts o and returns the record in it.
func (s *Store) take(ctx context.Context, e *entry, name string, o object) (token.Record, error) {
	if why := absence(o); why != "" {
		e.adopt(o)
		return token.Record{}, fmt.Errorf("%w: %s", token.ErrNoRecord, why)
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
		return token.Record{}, fmt.Errorf("the entry %s: %w; give the key back, or delete the newest version so that the token logs in anew", s.recordPath(name), err)
	case err != nil:
		e.adopt(o)
		return token.Record{}, s.quarantine(e, name, o, err)
	}
	e.adopt(o)
	return r, nil
}

// absence says why there is no record, and nothing where there is one.
func absence(o object) string {
	switch {
	case o.number == 0:
		return "none was saved"
	case o.data == nil:
		return "somebody has deleted the newest version of the entry"
	case o.text(deletedField) != "":
		return "it was deleted"
	case o.text(quarantinedField) != "":
		return fmt.Sprintf("it was put into quarantine, in %s (%s)", o.text(quarantinedField), o.text(reasonField))
	}
	return ""
}

// value returns the encoded record. An error that wraps [state.ErrDamaged] is about
// the entry, any other one about reading it.
func (s *Store) value(ctx context.Context, name string, o object) ([]byte, error) {
	if o.text(partsField) == "" {
		return decode(o.text(recordField))
	}
	var value []byte
	for _, part := range o.parts() {
		piece, err := s.kv.Read(ctx, s.partPath(name, part))
		switch {
		case errors.Is(err, vault.ErrNotFound), err == nil && piece.Deleted:
			return nil, s.lacks(ctx, name, o, part)
		case err != nil:
			return nil, err
		}
		b, err := decode(objectOf(piece).text(partField))
		if err != nil {
			return nil, err
		}
		value = append(value, b...)
	}
	return value, nil
}

// lacks tells damage from a record that was replaced while it was being read.
func (s *Store) lacks(ctx context.Context, name string, o object, part string) error {
	now, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	if now.version() != o.version() {
		return errOvertaken
	}
	return fmt.Errorf("%w: its piece %s is gone", state.ErrDamaged, part)
}

func decode(text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%w: it is no base64", state.ErrDamaged)
	}
	return b, nil
}

// get reads the entry of name; where nothing was ever written, it is the zero
// object.
func (s *Store) get(ctx context.Context, name string) (object, error) {
	e, err := s.kv.Read(ctx, s.recordPath(name))
	if errors.Is(err, vault.ErrNotFound) {
		return object{}, nil
	}
	return objectOf(e), err
}
