package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/vault"
)

// sampleSize is how many records tell with which key they are sealed.
const sampleSize = 16

var errVersion = errors.New("the mount is of KV version 1, which has no check-and-set to keep two owners apart: use a mount of version 2")

// admit proves what can be proven without writing: a Save that fails once there is
// something to save costs a login.
func (s *Store) admit(ctx context.Context) error {
	if s.path == "" || strings.Trim(s.path, "/") != s.path || strings.Contains(s.path, "//") {
		return fmt.Errorf("the path %q: it is written without a slash at its ends and without two in a row", s.path)
	}
	version, err := s.kv.Version(ctx)
	if err != nil {
		return err
	}
	if version != 2 {
		return errVersion
	}
	if err := s.kv.Check(ctx, s.recordPath("any")); err != nil {
		return err
	}
	return s.admitKey(ctx)
}

// admitKey tells a wrong key by the records that are there, so that it is one clear
// error instead of one for each record.
func (s *Store) admitKey(ctx context.Context) error {
	names, err := s.kv.List(ctx, s.path+"/"+strings.TrimSuffix(recordsFolder, "/"))
	if err != nil {
		return err
	}
	var mine, others atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for _, at := range names[:min(len(names), sampleSize)] {
		group.Go(func() error {
			e, err := s.kv.Read(ctx, s.path+"/"+recordsFolder+at)
			if err != nil {
				if errors.Is(err, vault.ErrNotFound) {
					return nil
				}
				return err
			}
			b, err := decode(objectOf(e).text(recordField))
			if err != nil {
				return nil //nolint:nilerr // damage is Load's to find, a large record tells nothing here
			}
			switch id, ok := state.SealedWith(b); {
			case ok && id == s.codec.KeyID():
				mine.Add(1)
			case ok:
				others.Add(1)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	switch {
	case mine.Load() > 0 || others.Load() == 0:
		return nil
	case s.codec.KeyID() == state.KeyID{}:
		return fmt.Errorf("the records are sealed, and no %w is given", state.ErrKey)
	}
	return fmt.Errorf("the records are sealed with another %w than the one given", state.ErrKey)
}
