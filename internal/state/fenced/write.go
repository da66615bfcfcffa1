package fenced

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// Tries is how often one change is sent: lost answers, and changes of an entry
// that are no writes, are both rare.
const Tries = 4

func (s *Store[V]) newID() string { return s.id + "-" + strconv.FormatUint(s.writes.Add(1), 10) }

// detached bounds what goes on when nobody waits for it any more.
func (s *Store[V]) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.bounds.Save)
}

// put stores value under name, on top of what the store knows of it.
func (s *Store[V]) put(e *entry[V], name string, value []byte) error {
	ctx, cancel := s.detached()
	defer cancel()
	if err := s.claim(ctx, e, name); err != nil {
		return err
	}
	c, replaced, err := s.cut(ctx, e, name, value)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, e, name, c); err != nil {
		return err
	}
	s.drop(ctx, name, replaced)
	return nil
}

// remove deletes the record of name.
func (s *Store[V]) remove(e *entry[V], name string) error {
	ctx, cancel := s.detached()
	defer cancel()
	if err := s.claim(ctx, e, name); err != nil {
		return err
	}
	if e.gone {
		if len(e.open) == 0 {
			return nil
		}
		// A write whose outcome is open may have put something there.
		if _, err := s.settle(ctx, e, name, Mark[V]{}); err != nil {
			return err
		}
	}
	replaced, err := s.place.ListPieces(ctx, name)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, e, name, Change{ID: s.newID(), Delete: true}); err != nil {
		return err
	}
	s.drop(ctx, name, replaced)
	return nil
}

// claim takes a record over that was never loaded, and refuses one that another
// owner has taken since.
func (s *Store[V]) claim(ctx context.Context, e *entry[V], name string) error {
	if e.fenced {
		return fmt.Errorf("%w; it has to be loaded again", token.ErrFenced)
	}
	if e.known {
		return nil
	}
	o, err := s.place.Read(ctx, name)
	if err != nil {
		return err
	}
	if o.Foreign != nil {
		return o.Foreign
	}
	e.adopt(o)
	return nil
}

// commit sends c until it is known to have landed or not to be able to.
func (s *Store[V]) commit(ctx context.Context, e *entry[V], name string, c Change) error {
	var err error
	for try := range Tries {
		if try > 0 && !wait(ctx, s.bounds.Pause<<(try-1)) {
			break
		}
		var made Entry[V]
		var outcome Outcome
		made, outcome, err = s.place.Write(ctx, name, e.at.Version, c)
		switch outcome {
		case Landed:
			e.landed(made)
			return nil
		case Refused:
			return err
		case Lost:
			e.leaveOpen(made.Mark)
		case Contested:
		}
		done, judgement := s.settle(ctx, e, name, made.Mark)
		if done || judgement != nil {
			return join(judgement, err)
		}
	}
	return err
}

// join tells a fence as it is; everything else is told with what it came from.
func join(judgement, cause error) error {
	if judgement == nil || errors.Is(judgement, token.ErrFenced) {
		return judgement
	}
	return fmt.Errorf("%w; and reading it back: %w", cause, judgement)
}

// settle reads what has become of a write that was contested or whose answer was
// lost. Neither done nor an error means that it may be sent again.
func (s *Store[V]) settle(ctx context.Context, e *entry[V], name string, sent Mark[V]) (done bool, err error) {
	o, err := s.place.Read(ctx, name)
	if err != nil {
		return false, err
	}
	switch e.judge(s.place, o.Mark) {
	case unchanged:
		e.at.Version = o.Version
		return false, nil
	case own:
		e.landed(o)
		return o.wrote(sent), nil
	case foreign:
	}
	if o.Sum == (Sum{}) {
		if err := s.place.Present(ctx); err != nil {
			return false, err
		}
		e.fenced = true
		return false, fmt.Errorf("%w: somebody has deleted %s", token.ErrFenced, s.where(name))
	}
	e.fenced = true
	return false, fmt.Errorf("%w: %s has been written since it was loaded", token.ErrFenced, s.where(name))
}

// wait reports false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
