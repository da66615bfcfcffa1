package vault

import (
	"context"
	"errors"

	"github.com/tokend-project/tokend/internal/state/fenced"
	"github.com/tokend-project/tokend/internal/vault"
)

// Write implements [fenced.Place].
func (q *requests) Write(ctx context.Context, name string, over int, c fenced.Change) (entry, fenced.Outcome, error) {
	data := dataOf(c)
	made := entryOf(vault.Entry{Data: data})
	if err := q.forgetOld(ctx, name, over); err != nil {
		return made, fenced.Refused, err
	}
	var err error
	made.Version, err = q.kv.Write(ctx, q.recordPath(name), data, vault.At(over))
	switch {
	case err == nil:
		return made, fenced.Landed, nil
	case errors.Is(err, vault.ErrAmbiguous):
		return made, fenced.Lost, err
	case errors.Is(err, vault.ErrCAS):
		return made, fenced.Contested, err
	}
	return made, fenced.Refused, err
}

// forgetOld has Vault keep the newest version alone. That it was done shows in the
// number of the version, so it is done once in the life of a record.
func (q *requests) forgetOld(ctx context.Context, name string, version int) error {
	if version != 1 {
		return nil
	}
	err := q.kv.PutMetadata(ctx, q.recordPath(name), nil, 1)
	if errors.Is(err, vault.ErrDenied) {
		q.warned.Do(func() {
			q.log.Warn("old versions of records, and the refresh tokens in them, stay in Vault", "error", err)
		})
		return nil
	}
	return err
}
