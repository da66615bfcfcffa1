package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/internal/kube"
)

// sampleSize is how many records tell with which key they are sealed.
const sampleSize = 50

// Admit implements [fenced.Place].
func (q *requests) Admit(ctx context.Context) (sample [][]byte, err error) {
	if err := q.permitted(ctx); err != nil {
		return nil, err
	}
	if err := q.Present(ctx); err != nil {
		return nil, err
	}
	list, err := q.page(ctx, sampleSize, "")
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		sample = append(sample, list.Items[i].Data[recordKey])
	}
	return sample, nil
}

// permitted asks for each verb, so that all that are missing are named at once.
// Where the question itself is not allowed, the answer comes with use.
func (q *requests) permitted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	verbs := []string{"get", "list", "create", "update", "delete"}
	denied := make([]bool, len(verbs))
	var all sync.WaitGroup
	for i, verb := range verbs {
		all.Go(func() {
			review, err := q.reviews.Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: q.namespace, Verb: verb, Resource: "secrets",
				}},
			}, metav1.CreateOptions{})
			denied[i] = err == nil && !review.Status.Allowed
		})
	}
	all.Wait()
	var missing []string
	for i, verb := range verbs {
		if denied[i] {
			missing = append(missing, verb)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf(`tokend may not %s secrets in the namespace %s: its Role needs the rule {apiGroups: [""], resources: ["secrets"], verbs: ["%s"]}`,
		strings.Join(missing, ", "), q.namespace, strings.Join(missing, `", "`))
}

// Present implements [fenced.Place]. It makes a dry run of a Secret: that needs the
// namespace and the permission, and leaves nothing behind.
func (q *requests) Present(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, q.bounds.request)
	defer cancel()
	_, err := q.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{GenerateName: q.prefix + ".probe-", Namespace: q.namespace},
		Type:       recordType,
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: kube.FieldManager})
	return kube.Explain(err, "create", "secrets", q.namespace, "")
}
