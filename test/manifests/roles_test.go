package manifests

import (
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// beyond are all rights of tokend's ServiceAccount in a namespace that one without
// a Role does not have.
func beyond(t *testing.T, account, nobody kubernetes.Interface, namespace string) []string {
	t.Helper()
	everybodys := rights(t, nobody, namespace)
	return slices.DeleteFunc(rights(t, account, namespace), func(right string) bool {
		return slices.Contains(everybodys, right)
	})
}

// rights are all that a ServiceAccount may do in a namespace, by the authorizer's
// own account.
func rights(t *testing.T, client kubernetes.Interface, namespace string) []string {
	t.Helper()
	review := &authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}
	answer, err := client.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(), review, metav1.CreateOptions{})
	if err != nil || answer.Status.Incomplete {
		t.Fatalf("%v, %s", err, answer.Status.EvaluationError)
	}
	var all []string
	for _, rule := range answer.Status.ResourceRules {
		for _, verb := range rule.Verbs {
			for _, resource := range rule.Resources {
				all = append(all, strings.TrimSpace(verb+" "+resource+" "+strings.Join(rule.ResourceNames, ",")))
			}
		}
	}
	for _, rule := range answer.Status.NonResourceRules {
		all = append(all, strings.Join(rule.Verbs, ",")+" "+strings.Join(rule.NonResourceURLs, ","))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// own are tokend's rights in its own namespace, and sink those where it writes.
func own() []string {
	return []string{
		"create leases", "create secrets", "delete leases", "delete secrets", "get leases", "get secrets",
		"list leases", "list secrets", "update leases", "update secrets", "watch leases",
	}
}

func sink(name string) []string {
	return []string{
		"create secrets " + name, "get secrets " + name, "list secrets",
		"patch secrets " + name, "watch secrets",
	}
}

func TestServiceAccountMayDoThisAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, namespace := range []string{"tokend", "shop", "billing"} {
		restricted(t, namespace)
	}
	apply(t, render(t, "many-namespaces", ""))
	account, nobody := clientOf(t, "tokend", "tokend"), clientOf(t, "tokend", "default")
	for namespace, want := range map[string][]string{
		"shop":        sink("example-token"),
		"billing":     sink("billing-token"),
		"default":     nil, // where nobody has granted anything
		"kube-system": nil,
	} {
		awaitRights(t, account, nobody, namespace, want)
	}
}

func TestServiceAccountInOneNamespaceMayDoThisAndNothingElse(t *testing.T) {
	t.Parallel()
	namespace := "one"
	restricted(t, namespace)
	apply(t, render(t, "one-namespace", namespace))
	account, nobody := clientOf(t, namespace, "tokend"), clientOf(t, namespace, "default")
	want := slices.Compact(slices.Sorted(slices.Values(append(own(), sink("example-token")...))))
	awaitRights(t, account, nobody, namespace, want)
}

// awaitRights waits for the authorizer, which sees Roles through a watch.
func awaitRights(t *testing.T, account, nobody kubernetes.Interface, namespace string, want []string) {
	t.Helper()
	var got []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = beyond(t, account, nobody, namespace); slices.Equal(got, want) {
			return
		}
	}
	t.Errorf("in %s it may\n%q, and should\n%q", namespace, got, want)
}

func clientOf(t *testing.T, namespace, account string) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(cluster.TokenOf(t, namespace, account))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
