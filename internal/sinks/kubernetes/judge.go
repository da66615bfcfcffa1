package kubernetes

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/token"
)

// judge tells why the Secret cannot or must not be replaced by t; nil when
// nothing speaks against it.
func (s *Sink) judge(at kube.Seen, t token.Token) error {
	if !at.Exists() {
		return nil
	}
	if err := s.permits(at); err != nil {
		return err
	}
	s.mu.Lock()
	mine := at.ResourceVersion == s.wrote
	s.mu.Unlock()
	if !mine && at.Marks[noteToken] == s.token && older(t, at.Marks) {
		return fmt.Errorf("secret %s: it holds generation %s, issued at %s, and that is newer than generation %d, issued at %s, which was to be written: %w (if nothing else writes it, delete the Secret and tokend makes it anew)",
			s.Target(), at.Marks[noteGeneration], at.Marks[noteIssued], t.Generation, stamp(t.IssuedAt), token.ErrFenced)
	}
	return nil
}

// permits tells what about a Secret no PATCH can change.
func (s *Sink) permits(at kube.Seen) error {
	switch {
	case at.Type != s.kind:
		return fmt.Errorf("secret %s: its type is %s and is to be %s, and a type cannot be changed: delete the Secret and tokend makes it anew, or set type = %q",
			s.Target(), at.Type, s.kind, at.Type)
	case at.Immutable:
		return fmt.Errorf("secret %s: it is immutable, so that not even tokend can write to it: delete the Secret and tokend makes it anew", s.Target())
	}
	return nil
}

// older reports whether t is older than the token that the marks tell of, by
// generation and by time of issue. Marks that cannot be read make nothing older.
func older(t token.Token, marks map[string]string) bool {
	generation, err := strconv.ParseUint(marks[noteGeneration], 10, 64)
	if err != nil {
		return false
	}
	issued, err := time.Parse(time.RFC3339, marks[noteIssued])
	if err != nil {
		return false
	}
	ours := t.IssuedAt.Truncate(time.Second)
	return generation > t.Generation && !issued.Before(ours) || generation == t.Generation && issued.After(ours)
}
