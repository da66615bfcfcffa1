package kubernetes

import (
	"context"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// fewNames are read one by one.
const fewNames = 8

// Read implements [fenced.Place].
func (q *requests) Read(ctx context.Context, name string) (entry, error) {
	o, err := q.get(ctx, secretName(q.prefix, name))
	if err != nil {
		return entry{}, err
	}
	return q.entry(name, o), nil
}

// get reads a Secret from etcd, nil when there is none.
func (q *requests) get(ctx context.Context, secret string) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, q.bounds.request, context.DeadlineExceeded)
	defer cancel()
	o, err := q.secrets.Get(ctx, secret, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // that there is none is an answer
	case err != nil:
		return nil, kube.Explain(err, "get", "secrets", q.namespace, secret)
	}
	return o, nil
}

// ReadAll implements [fenced.Place]: a few records are read at once, many with a
// List of all records of the state in pages. A list that takes so long that the API
// server has forgotten where it began is begun once more.
func (q *requests) ReadAll(ctx context.Context, names []string) ([]entry, error) {
	if len(names) <= fewNames {
		return q.readEach(ctx, names)
	}
	found, err := q.list(ctx, names)
	if apierrors.IsResourceExpired(err) {
		found, err = q.list(ctx, names)
	}
	return found, err
}

func (q *requests) readEach(ctx context.Context, names []string) ([]entry, error) {
	found := make([]entry, len(names))
	g, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		g.Go(func() (err error) {
			found[i], err = q.Read(ctx, name)
			return err
		})
	}
	return found, g.Wait()
}

func (q *requests) list(ctx context.Context, names []string) ([]entry, error) {
	wanted := make(map[string][]int, len(names))
	found := make([]entry, len(names))
	for i, name := range names {
		secret := secretName(q.prefix, name)
		wanted[secret] = append(wanted[secret], i)
		found[i] = q.entry(name, nil)
	}
	for next := ""; ; {
		list, err := q.page(ctx, q.bounds.page, next)
		if err != nil {
			return nil, err
		}
		for i := range list.Items {
			secret := list.Items[i].Name
			for _, n := range wanted[secret] {
				found[n] = q.entry(names[n], &list.Items[i])
			}
			delete(wanted, secret)
		}
		if next = list.Continue; next == "" || len(wanted) == 0 {
			return found, nil
		}
	}
}

func (q *requests) page(ctx context.Context, limit int64, next string) (*corev1.SecretList, error) {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	list, err := q.secrets.List(ctx, metav1.ListOptions{LabelSelector: stateLabel + "=" + q.prefix, Limit: limit, Continue: next})
	return list, kube.Explain(err, "list", "secrets", q.namespace, "")
}
