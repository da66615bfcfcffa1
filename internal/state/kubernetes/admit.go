package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"sync"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedauthorization "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/state"
)

// sampleSize is how many records tell with which key they are sealed.
const sampleSize = 50

// admit proves what can be proven without writing: a Save that fails once there
// is something to save costs a login.
func (s *Store) admit(ctx context.Context, reviews typedauthorization.SelfSubjectAccessReviewInterface) error {
	if err := s.permitted(ctx, reviews); err != nil {
		return err
	}
	if err := s.probe(ctx); err != nil {
		return err
	}
	list, err := s.page(ctx, sampleSize, "")
	if err != nil {
		return err
	}
	return s.admitKey(list.Items)
}

// permitted asks for each verb, so that all that are missing are named at once.
// Where the question itself is not allowed, the answer comes with use.
func (s *Store) permitted(ctx context.Context, reviews typedauthorization.SelfSubjectAccessReviewInterface) error {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	verbs := []string{"get", "list", "create", "update", "delete"}
	denied := make([]bool, len(verbs))
	var all sync.WaitGroup
	for i, verb := range verbs {
		all.Go(func() {
			review, err := reviews.Create(ctx, &authorizationv1.SelfSubjectAccessReview{
				Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
					Namespace: s.namespace, Verb: verb, Resource: "secrets",
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
		strings.Join(missing, ", "), s.namespace, strings.Join(missing, `", "`))
}

// probe makes a dry run of a Secret: it needs the namespace and the permission,
// and leaves nothing behind.
func (s *Store) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.bounds.request)
	defer cancel()
	_, err := s.secrets.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{GenerateName: s.prefix + ".probe-", Namespace: s.namespace},
		Type:       recordType,
	}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}, FieldManager: kube.FieldManager})
	return kube.Explain(err, "create", "secrets", s.namespace, "")
}

// admitKey tells a wrong key by the records that are there, so that it is one
// clear error instead of one for each record.
func (s *Store) admitKey(records []corev1.Secret) error {
	mine, others := 0, 0
	for i := range records {
		switch id, ok := state.SealedWith(records[i].Data[recordKey]); {
		case ok && id == s.codec.KeyID():
			mine++
		case ok:
			others++
		}
	}
	if mine > 0 || others == 0 {
		return nil
	}
	if s.codec.KeyID() == (state.KeyID{}) {
		return fmt.Errorf("the records are sealed, and no %w is given", state.ErrKey)
	}
	return fmt.Errorf("the records are sealed with another %w than the one given", state.ErrKey)
}
