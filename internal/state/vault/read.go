package vault

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/tokend-project/tokend/internal/vault"
)

// Read implements [fenced.Place].
func (q *requests) Read(ctx context.Context, name string) (entry, error) {
	e, err := q.kv.Read(ctx, q.recordPath(name))
	if err != nil && !errors.Is(err, vault.ErrNotFound) {
		return entry{}, err
	}
	return entryOf(e), nil
}

// ReadAll implements [fenced.Place]. Vault reads one entry a request, so they are
// read many at once.
func (q *requests) ReadAll(ctx context.Context, names []string) ([]entry, error) {
	found := make([]entry, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(q.reads)
	for i, name := range names {
		group.Go(func() (err error) {
			found[i], err = q.Read(ctx, name)
			return err
		})
	}
	return found, group.Wait()
}
