package manifests

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// restricted makes a namespace where Pods are judged by the restricted standard
// and by the house's policy, unless it is there already, and returns when they are.
func restricted(t *testing.T, namespace string) {
	t.Helper()
	client := cluster.Client(t)
	marks := map[string]string{}
	for _, mode := range []string{"enforce", "audit", "warn"} {
		marks["pod-security.kubernetes.io/"+mode] = "restricted"
	}
	made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: marks}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), made, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}} // a controller's work
	if _, err := client.CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	policy, err := os.ReadFile("testdata/policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if said := apply(t, decode(t, policy)); len(said) > 0 {
		t.Fatalf("the policy: %q", said)
	}
	// Pod Security takes this one, the policy doesn't.
	rootless := int64(1)
	unlimited := corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: &rootless,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{Name: "c", Image: "i", SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		}}},
	}
	await(t, 20*time.Second, "the policy is in force", func(context.Context) bool {
		err := admit(t, namespace, corev1.PodTemplateSpec{Spec: unlimited})
		return apierrors.IsInvalid(err) || apierrors.IsForbidden(err)
	})
}

// admit has the API server judge a Pod of a template. Nothing is stored.
func admit(t *testing.T, namespace string, template corev1.PodTemplateSpec) error {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "p-", Labels: template.Labels}, Spec: template.Spec}
	_, err := cluster.Client(t).CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// templates are the Pods that a Deployment's and a CronJob's controllers would
// make of what is rendered, by the names of these.
func templates(t *testing.T, all objects) map[string]corev1.PodTemplateSpec {
	t.Helper()
	made := map[string]corev1.PodTemplateSpec{}
	for _, o := range all {
		switch o.GetKind() {
		case "Deployment":
			made[o.GetNamespace()+"/"+o.GetName()] = get[appsv1.Deployment](t, all, "Deployment", o.GetName()).Spec.Template
		case "CronJob":
			made[o.GetNamespace()+"/"+o.GetName()] = get[batchv1.CronJob](t, all, "CronJob", o.GetName()).Spec.JobTemplate.Spec.Template
		}
	}
	return made
}

func TestOverlaysAreTakenWithoutAWarning(t *testing.T) {
	t.Parallel()
	for overlay, c := range map[string]struct {
		namespaces []string
		pods       int
	}{
		"one-namespace":   {[]string{"tokend"}, 3},
		"many-namespaces": {[]string{"tokend", "shop", "billing"}, 2},
	} {
		for _, namespace := range c.namespaces {
			restricted(t, namespace)
		}
		all := render(t, overlay, "")
		if said := apply(t, all); len(said) > 0 {
			t.Errorf("%s: the API server warns: %q", overlay, said)
		}
		pods := templates(t, all)
		if len(pods) != c.pods {
			t.Errorf("%s makes %d kinds of Pods, not %d", overlay, len(pods), c.pods)
		}
		for name, template := range pods {
			namespace, _, _ := strings.Cut(name, "/")
			if err := admit(t, namespace, template); err != nil {
				t.Errorf("%s: a Pod of %s: %v", overlay, name, err)
			}
		}
	}
}

// TestLoosePodsAreRefused shows that those above have been judged.
func TestLoosePodsAreRefused(t *testing.T) {
	t.Parallel()
	namespace := "loose"
	restricted(t, namespace)
	all := render(t, "one-namespace", namespace)
	apply(t, all)
	for name, loosen := range map[string]func(*corev1.PodSpec){
		"restricted: a shared host network": func(s *corev1.PodSpec) { s.HostNetwork = true },
		"restricted: any system call":       func(s *corev1.PodSpec) { s.SecurityContext.SeccompProfile = nil },
		"restricted: capabilities":          func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.Capabilities = nil },
		"restricted: a host's directory": func(s *corev1.PodSpec) {
			s.Volumes[0].ConfigMap = nil
			s.Volumes[0].HostPath = &corev1.HostPathVolumeSource{Path: "/"}
		},
		"restricted: a Pod as root":          func(s *corev1.PodSpec) { s.SecurityContext.RunAsNonRoot = nil },
		"restricted: gaining rights":         func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.AllowPrivilegeEscalation = nil },
		"every root is read-only":            func(s *corev1.PodSpec) { s.Containers[0].SecurityContext.ReadOnlyRootFilesystem = nil },
		"every container has a memory limit": func(s *corev1.PodSpec) { s.Containers[0].Resources.Limits = nil },
	} {
		template := get[appsv1.Deployment](t, all, "Deployment", "tokend").Spec.Template
		loosen(&template.Spec)
		want, _, _ := strings.Cut(name, ":")
		if err := admit(t, namespace, template); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSelectorsFindTheDaemonAndNothingElse(t *testing.T) {
	t.Parallel()
	all := render(t, "one-namespace", "")
	for _, kind := range []string{"Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy"} {
		for name, template := range templates(t, all) {
			_, name, _ = strings.Cut(name, "/")
			if selects := labels.SelectorFromSet(selector(t, all, kind)).Matches(labels.Set(template.Labels)); selects != (name == "tokend") {
				t.Errorf("%s selects the Pods of %s: %t", kind, name, selects)
			}
		}
	}
}

func selector(t *testing.T, all objects, kind string) labels.Set {
	t.Helper()
	for _, o := range all {
		if o.GetKind() != kind || o.GetName() != "tokend" {
			continue
		}
		spec, _ := o.Object["spec"].(map[string]any)
		found, _ := spec["selector"].(map[string]any)
		if kind == "NetworkPolicy" {
			found, _ = spec["podSelector"].(map[string]any)
		}
		if nested, ok := found["matchLabels"].(map[string]any); ok {
			found = nested
		}
		set := labels.Set{}
		for key, value := range found {
			set[key], _ = value.(string)
		}
		if len(set) > 0 {
			return set
		}
	}
	t.Fatalf("there is no %s with a selector", kind)
	return nil
}
