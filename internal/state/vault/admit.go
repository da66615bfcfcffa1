package vault

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tokend-project/tokend/internal/vault"
)

// sampleSize is how many records tell with which key they are sealed.
const sampleSize = 16

var errVersion = errors.New("the mount is of KV version 1, which has no check-and-set to keep two owners apart: use a mount of version 2")

// Admit implements [fenced.Place].
func (q *requests) Admit(ctx context.Context) (sample [][]byte, err error) {
	if q.path == "" || strings.Trim(q.path, "/") != q.path || strings.Contains(q.path, "//") {
		return nil, fmt.Errorf("the path %q: it is written without a slash at its ends and without two in a row", q.path)
	}
	version, err := q.kv.Version(ctx)
	if err != nil {
		return nil, err
	}
	if version != 2 {
		return nil, errVersion
	}
	if err := q.kv.Check(ctx, q.recordPath("any")); err != nil {
		return nil, err
	}
	return q.sample(ctx)
}

func (q *requests) sample(ctx context.Context) ([][]byte, error) {
	names, err := q.kv.List(ctx, q.path+"/"+strings.TrimSuffix(recordsFolder, "/"))
	if err != nil {
		return nil, err
	}
	names = names[:min(len(names), sampleSize)]
	sample := make([][]byte, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, at := range names {
		group.Go(func() error {
			e, err := q.kv.Read(ctx, q.path+"/"+recordsFolder+at)
			if err != nil && !errors.Is(err, vault.ErrNotFound) {
				return err
			}
			sample[i] = entryOf(e).Record
			return nil
		})
	}
	return sample, group.Wait()
}

// Present implements [fenced.Place]. Where the mount is gone, Vault says so to the
// read that found no entry.
func (*requests) Present(context.Context) error { return nil }
