package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Grant makes rules the whole of what one Role lets a ServiceAccount do in a
// namespace, which may be another than that of the ServiceAccount; no rules
// withdraw everything. It returns when the API server's authorizer grants
// what is new and refuses what is gone, which no other Role may grant.
func (c *Cluster) Grant(t testing.TB, namespace, accountNamespace, account string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	client := c.Client(t)
	name := account
	if accountNamespace != namespace {
		name = accountNamespace + "." + account
	}
	before := setRole(t, client, namespace, name, rules)
	bind(t, client, namespace, name, rbacv1.Subject{Kind: "ServiceAccount", Namespace: accountNamespace, Name: account})
	user := UserName(accountNamespace, account)
	granted := accesses(rules)
	for _, a := range granted {
		await(t, user+" may "+a.String(), a.review(client, namespace, user, true))
	}
	for _, a := range accesses(before) {
		if !slices.Contains(granted, a) {
			await(t, user+" may no longer "+a.String(), a.review(client, namespace, user, false))
		}
	}
}

// setRole writes a Role and returns the rules that it had.
func setRole(t testing.TB, client kubernetes.Interface, namespace, name string, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	t.Helper()
	roles := client.RbacV1().Roles(namespace)
	role, err := roles.Get(t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		role = &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
		_, err = roles.Create(t.Context(), role, metav1.CreateOptions{})
		role.Rules = nil
	} else if err == nil {
		changed := role.DeepCopy()
		changed.Rules = rules
		_, err = roles.Update(t.Context(), changed, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatalf("write the Role %s: %v", name, err)
	}
	return role.Rules
}

func bind(t testing.TB, client kubernetes.Interface, namespace, role string, subject rbacv1.Subject) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{subject},
	}
	_, err := client.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatalf("bind the Role %s: %v", role, err)
	}
}

// access is one thing that a rule allows.
type access struct {
	verb, group, resource, subresource, name string
}

func (a access) String() string { return strings.TrimSpace(a.verb + " " + a.resource + " " + a.name) }

func accesses(rules []rbacv1.PolicyRule) []access {
	var all []access
	for _, rule := range rules {
		names := rule.ResourceNames
		if len(names) == 0 {
			names = []string{""}
		}
		for _, verb := range rule.Verbs {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					resource, subresource, _ := strings.Cut(resource, "/")
					for _, name := range names {
						all = append(all, access{verb, group, resource, subresource, name})
					}
				}
			}
		}
	}
	return all
}

// review asks whether the authorizer's answer is the wanted one.
func (a access) review(client kubernetes.Interface, namespace, user string, want bool) func(context.Context) (bool, error) {
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   user,
		Groups: []string{"system:serviceaccounts", "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Verb: a.verb, Group: a.group,
			Resource: a.resource, Subresource: a.subresource, Name: a.name,
		},
	}}
	return func(ctx context.Context) (bool, error) {
		answer, err := client.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return false, fmt.Errorf("ask the authorizer: %w", err)
		}
		return answer.Status.Allowed == want, nil
	}
}
