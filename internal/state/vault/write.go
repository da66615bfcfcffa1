package vault

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tokend-project/tokend/internal/token"
	"github.com/tokend-project/tokend/internal/vault"
)

// tries is how often one change is sent: lost answers are rare.
const tries = 4

func (s *Store) newID() string { return s.id + "-" + strconv.FormatUint(s.writes.Add(1), 10) }

// detached bounds what goes on when nobody waits for it any more.
func (s *Store) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.bounds.save)
}

// put stores value under name, on top of what the store knows of it.
func (s *Store) put(e *entry, name string, value []byte) error {
	ctx, cancel := s.detached()
	defer cancel()
	if err := s.claim(ctx, e, name); err != nil {
		return err
	}
	if err := s.forgetOld(ctx, e, name); err != nil {
		return err
	}
	data, replaced, err := s.cut(ctx, e, name, value)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, e, name, data); err != nil {
		return err
	}
	s.drop(ctx, name, replaced)
	return nil
}

// remove deletes the record of name.
func (s *Store) remove(e *entry, name string) error {
	ctx, cancel := s.detached()
	defer cancel()
	if err := s.claim(ctx, e, name); err != nil {
		return err
	}
	if e.gone && len(e.open) == 0 {
		return nil
	}
	if err := s.forgetOld(ctx, e, name); err != nil {
		return err
	}
	replaced, err := s.pieces(ctx, e, name)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, e, name, map[string]any{writeField: s.newID(), deletedField: "true"}); err != nil {
		return err
	}
	s.drop(ctx, name, replaced)
	return nil
}

// claim takes a record over that was never loaded, and refuses one that another
// owner has taken since.
func (s *Store) claim(ctx context.Context, e *entry, name string) error {
	if e.fenced {
		return fmt.Errorf("%w; it has to be loaded again", token.ErrFenced)
	}
	if e.known {
		return nil
	}
	o, err := s.get(ctx, name)
	if err != nil {
		return err
	}
	e.adopt(o)
	return nil
}

// forgetOld has Vault keep the newest version alone. That it was done shows in the
// number of the version, so it is done once in the life of a record.
func (s *Store) forgetOld(ctx context.Context, e *entry, name string) error {
	if e.at.number != 1 {
		return nil
	}
	err := s.kv.PutMetadata(ctx, s.recordPath(name), nil, 1)
	if errors.Is(err, vault.ErrDenied) {
		s.warned.Do(func() {
			s.log.Warn("old versions of records, and the refresh tokens in them, stay in Vault", "error", err)
		})
		return nil
	}
	return err
}

// commit sends data until it is known to have landed or not to be able to.
func (s *Store) commit(ctx context.Context, e *entry, name string, data map[string]any) error {
	var err error
	for try := range tries {
		if try > 0 && !wait(ctx, s.bounds.pause<<(try-1)) {
			break
		}
		o := object{data: data}
		if o.number, err = s.kv.Write(ctx, s.recordPath(name), data, vault.At(e.at.number)); err == nil {
			e.landed(o)
			return nil
		}
		switch {
		case errors.Is(err, vault.ErrAmbiguous):
			e.leaveOpen(o)
		case !errors.Is(err, vault.ErrCAS):
			return err
		}
		done, judgement := s.settle(ctx, e, name, o)
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

// settle reads what has become of a write that was refused for its version or whose
// answer was lost. Neither done nor an error means that it may be sent again.
func (s *Store) settle(ctx context.Context, e *entry, name string, sent object) (done bool, err error) {
	o, err := s.get(ctx, name)
	if err != nil {
		return false, err
	}
	switch e.judge(o) {
	case unchanged:
		return false, nil
	case own:
		e.landed(o)
		return o.text(writeField) == sent.text(writeField), nil
	}
	e.fenced = true
	if o.number == 0 {
		return false, fmt.Errorf("%w: somebody has deleted the entry with its metadata", token.ErrFenced)
	}
	return false, fmt.Errorf("%w: the entry has been written since it was loaded", token.ErrFenced)
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
