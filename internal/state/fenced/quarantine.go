package fenced

import (
	"errors"
	"fmt"

	"github.com/tokend-project/tokend/internal/token"
)

// quarantine has the place keep a record that cannot be read, empties the record's
// entry, and returns the error that Load shall return.
func (s *Store[V]) quarantine(e *entry[V], name string, cause error) error {
	ctx, cancel := s.detached()
	defer cancel()
	where, err := s.place.Keep(ctx, name, e.at, cause)
	if errors.Is(err, ErrOvertaken) {
		return err
	}
	if err == nil {
		err = s.commit(ctx, e, name, Change{ID: s.newID(), Quarantined: where, Reason: cause.Error()})
	}
	if err != nil {
		return fmt.Errorf("putting it into quarantine: %w (%w)", err, cause)
	}
	s.log.Error("stored record is damaged and was put into quarantine; its token logs in anew",
		"token", name, "entry", where, "error", cause)
	return fmt.Errorf("%w: it was put into quarantine, in %s %s (%w)", token.ErrNoRecord, s.words.Entry, where, cause)
}
