package kubernetes

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// fewNames are read one by one.
const fewNames = 8

// fetched is a Secret that was read ahead, nil where there was none.
type fetched struct {
	secret  *corev1.Secret
	touched uint64 // what the entry had counted before it was read
	at      time.Time
}

// Prefetch implements [state.Prefetcher]: a few records are read at once, many
// with a List of all records of the state in pages.
func (s *Store) Prefetch(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := check(ctx, name); err != nil {
			return fmt.Errorf("reading the record of %s ahead: %w", name, err)
		}
	}
	before, err := s.beforeFetch(names)
	if err != nil || len(names) == 0 {
		return err
	}
	at := time.Now()
	var found map[string]*corev1.Secret
	if len(names) <= fewNames {
		found, err = s.getAll(ctx, names)
	} else {
		found, err = s.listAll(ctx, names)
	}
	if err != nil {
		return fmt.Errorf("reading %d records ahead: %w", len(names), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		s.fetched[name] = fetched{secret: found[name], touched: before[name], at: at}
	}
	return nil
}

// beforeFetch notes what was done for names so far, and forgets what was read
// ahead and not asked for.
func (s *Store) beforeFetch(names []string) (map[string]uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	for name, f := range s.fetched {
		if time.Since(f.at) > s.bounds.fresh {
			delete(s.fetched, name)
		}
	}
	before := make(map[string]uint64, len(names))
	for _, name := range names {
		if e := s.entries[name]; e != nil {
			before[name] = e.touched
		}
	}
	return before, nil
}

// prefetched returns what was read ahead for a Load, whose own call is the one
// thing that may have been asked for since.
func (s *Store) prefetched(e *entry, name string) (o *corev1.Secret, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.fetched[name]
	delete(s.fetched, name)
	if !ok || f.touched+1 != e.touched || time.Since(f.at) > s.bounds.fresh {
		return nil, false
	}
	return f.secret, true
}

func (s *Store) getAll(ctx context.Context, names []string) (map[string]*corev1.Secret, error) {
	secrets := make([]*corev1.Secret, len(names))
	g, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		g.Go(func() (err error) {
			secrets[i], err = s.get(ctx, name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	found := make(map[string]*corev1.Secret, len(names))
	for i, name := range names {
		found[name] = secrets[i]
	}
	return found, nil
}

// listAll reads all records and keeps those of names. A list that takes so long
// that the API server has forgotten where it began is begun once more.
func (s *Store) listAll(ctx context.Context, names []string) (map[string]*corev1.Secret, error) {
	found, err := s.listOnce(ctx, names)
	if apierrors.IsResourceExpired(err) {
		found, err = s.listOnce(ctx, names)
	}
	return found, err
}

func (s *Store) listOnce(ctx context.Context, names []string) (map[string]*corev1.Secret, error) {
	wanted := make(map[string]string, len(names))
	for _, name := range names {
		wanted[secretName(s.prefix, name)] = name
	}
	found := make(map[string]*corev1.Secret, len(names))
	for next := ""; ; {
		list, err := s.page(ctx, s.bounds.page, next)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			if name, ok := wanted[list.Items[i].Name]; ok {
				o := list.Items[i] // not all of the page
				o.ManagedFields = nil
				found[name] = &o
			}
		}
		if next = list.Continue; next == "" || len(found) == len(names) {
			return found, nil
		}
	}
}

func (s *Store) page(ctx context.Context, limit int64, next string) (*corev1.SecretList, error) {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	list, err := s.secrets.List(ctx, metav1.ListOptions{LabelSelector: stateLabel + "=" + s.prefix, Limit: limit, Continue: next})
	return list, kube.Explain(err, "list", "secrets", s.namespace, "")
}
