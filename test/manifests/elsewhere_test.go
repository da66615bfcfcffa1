package manifests

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// places are the namespaces of the overlay for many, for one test alone.
type places struct{ tokend, shop, billing string }

// elsewhere renders the overlay for many namespaces, with others than it says, so
// that tests don't meet. The namespaces are there, and nothing else is.
func elsewhere(t *testing.T) (objects, places) {
	t.Helper()
	suffix := "-" + strings.ToLower(rand.Text()[:8])
	p := places{"tokend" + suffix, "shop" + suffix, "billing" + suffix}
	var pairs []string
	for from, to := range map[string]string{"tokend": p.tokend, "shop": p.shop, "billing": p.billing} {
		restricted(t, to)
		pairs = append(pairs,
			`"namespace":"`+from+`"`, `"namespace":"`+to+`"`, // of an object, and of a binding's subject
			`namespace = \"`+from+`\"`, `namespace = \"`+to+`\"`, // in tokens.hcl
		)
	}
	all := render(t, "many-namespaces", "")
	edit(t, all, strings.NewReplacer(pairs...))
	get := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Namespace" })
	all[get].SetName(p.tokend)
	return all, p
}

// edit changes objects as texts.
func edit(t *testing.T, all objects, replace *strings.Replacer) {
	t.Helper()
	for _, object := range all {
		text, err := object.MarshalJSON()
		must(t, err)
		changed := &unstructured.Unstructured{}
		must(t, changed.UnmarshalJSON([]byte(replace.Replace(string(text)))))
		object.Object = changed.Object
	}
}

// right is one verb of one rule of a Role.
type right struct{ role, resource, verb string }

func (r right) String() string { return r.role + ": " + r.verb + " " + r.resource }

// allRights are all verbs of the Roles in some namespaces.
func allRights(t *testing.T, all objects, namespaces ...string) []right {
	t.Helper()
	var found []right
	for _, o := range all {
		if o.GetKind() != "Role" || !slices.Contains(namespaces, o.GetNamespace()) {
			continue
		}
		for _, rule := range rules(t, o) {
			for _, verb := range rule.Verbs {
				found = append(found, right{o.GetName(), rule.Resources[0], verb})
			}
		}
	}
	return found
}

func rules(t *testing.T, o *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var role rbacv1.Role
	must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role))
	for _, rule := range role.Rules {
		if len(rule.Resources) != 1 {
			t.Fatalf("a rule of %s is about several resources: %q", role.Name, rule.Resources)
		}
	}
	return role.Rules
}

// without takes a verb out of the Roles of that name.
func without(t *testing.T, all objects, gone right) {
	t.Helper()
	for _, o := range all {
		if o.GetKind() != "Role" || o.GetName() != gone.role {
			continue
		}
		role := &rbacv1.Role{}
		must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, role))
		for n, rule := range role.Rules {
			if rule.Resources[0] == gone.resource {
				role.Rules[n].Verbs = slices.DeleteFunc(rule.Verbs, func(verb string) bool { return verb == gone.verb })
			}
		}
		role.Rules = slices.DeleteFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return len(rule.Verbs) == 0 })
		changed, err := runtime.DefaultUnstructuredConverter.ToUnstructured(role)
		must(t, err)
		o.Object = changed
	}
}

// awaitRoles waits until the authorizer knows the Roles of tokend as rendered.
func awaitRoles(t *testing.T, all objects, p places) {
	t.Helper()
	account, nobody := clientOf(t, p.tokend, "tokend"), clientOf(t, p.tokend, "default")
	for _, namespace := range []string{p.tokend, p.shop, p.billing} {
		awaitRights(t, account, nobody, namespace, rendered(t, all, namespace))
	}
}

// rendered are the rights that the Roles of a namespace give, as rights tells
// them.
func rendered(t *testing.T, all objects, namespace string) []string {
	t.Helper()
	var want []string
	for _, o := range all {
		if o.GetKind() != "Role" || o.GetNamespace() != namespace {
			continue
		}
		for _, rule := range rules(t, o) {
			for _, verb := range rule.Verbs {
				want = append(want, strings.TrimSpace(verb+" "+rule.Resources[0]+" "+strings.Join(rule.ResourceNames, ",")))
			}
		}
	}
	slices.Sort(want)
	return slices.Compact(want)
}
