package kubernetes

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

var cluster *Cluster

func TestMain(m *testing.M) { os.Exit(Main(m, &cluster)) }

func secretRule(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}
}

func apply(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	secret := corev1apply.Secret(name, namespace).WithStringData(map[string]string{"token": "t"})
	_, err := client.CoreV1().Secrets(namespace).Apply(ctx, secret, metav1.ApplyOptions{FieldManager: "test", Force: true})
	return err
}

func TestServiceAccountMayDoWhatItsRoleSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	namespace, other := cluster.Namespace(t), cluster.Namespace(t)
	client := clientFor(t, cluster.ServiceAccount(t, namespace, "writer", secretRule("create", "patch")))
	if err := apply(t.Context(), client, namespace, "s"); err != nil {
		t.Fatalf("at the first attempt: %v", err)
	}
	if err := apply(t.Context(), client, other, "s"); !apierrors.IsForbidden(err) {
		t.Fatalf("in another namespace: %v", err)
	}
	if _, err := client.CoreV1().Secrets(namespace).Get(t.Context(), "s", metav1.GetOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("another verb: %v", err)
	}
}

func TestGrantIsKnownToTheAuthorizerWhenItReturns(t *testing.T) {
	t.Parallel()
	namespace, other := cluster.Namespace(t), cluster.Namespace(t)
	client := clientFor(t, cluster.ServiceAccount(t, namespace, "writer"))
	for range 3 {
		cluster.Grant(t, other, namespace, "writer", secretRule("create", "patch"))
		if err := apply(t.Context(), client, other, "s"); err != nil {
			t.Fatalf("granted: %v", err)
		}
		cluster.Grant(t, other, namespace, "writer")
		if err := apply(t.Context(), client, other, "s"); !apierrors.IsForbidden(err) {
			t.Fatalf("withdrawn: %v", err)
		}
	}
}

func TestKubeconfigHasTheServiceAccountsNamespaceAndIsPrivate(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	path := cluster.Kubeconfig(t, cluster.ServiceAccount(t, namespace, "reader", secretRule("list")))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: path}, nil)
	if got, _, err := loaded.Namespace(); got != namespace || err != nil {
		t.Fatalf("namespace %q, %v", got, err)
	}
	config, err := loaded.ClientConfig()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clientFor(t, config).CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestCountsAreExactTheInstantARequestIsAnswered(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	client := clientFor(t, cluster.ServiceAccount(t, namespace, "writer", secretRule("create", "patch", "watch")))
	user := UserName(namespace, "writer")
	watch, err := client.CoreV1().Secrets(namespace).Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	for n := 1; n <= 20; n++ {
		if err := apply(t.Context(), client, namespace, "s"); err != nil {
			t.Fatal(err)
		}
		want := map[string]int{"watch secrets": 1, "patch secrets": n}
		if got := cluster.Count(t, user); !maps.Equal(got, want) {
			t.Fatalf("after %d writes: %v", n, got)
		}
	}
}

func TestRequestsTellWhatCameOfThem(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	client := clientFor(t, cluster.ServiceAccount(t, namespace, "reader", secretRule("get")))
	_, _ = client.CoreV1().Secrets(namespace).Get(t.Context(), "absent", metav1.GetOptions{})
	_ = client.CoreV1().Secrets(namespace).Delete(t.Context(), "absent", metav1.DeleteOptions{})
	requests, err := cluster.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mine := requests.Of(UserName(namespace, "reader")).In(namespace)
	if len(mine) != 2 || mine[0].Code != 404 || mine[1].Code != 403 || mine[1].Verb != "delete" || mine[0].Name != "absent" {
		t.Fatalf("%+v", mine)
	}
	if by := mine.By(mine[0].UserAgent); len(by) != 2 || time.Since(by[0].At) > time.Minute {
		t.Fatalf("%+v", by)
	}
}

func TestPodSecurityIsEnforcedAsByDefault(t *testing.T) {
	t.Parallel()
	client := cluster.Client(t)
	namespace := cluster.Namespace(t)
	cluster.ServiceAccount(t, namespace, "default")
	labels := `{"metadata":{"labels":{"pod-security.kubernetes.io/enforce":"restricted"}}}`
	_, err := client.CoreV1().Namespaces().Patch(t.Context(), namespace, "application/merge-patch+json", []byte(labels), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "loose"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "scratch"}}},
	}
	if _, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("a Pod without a securityContext: %v", err)
	}
}

func TestAbandonedDirectoriesAreSweptAndOthersAreNot(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	alive, lock, err := newDirectory()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	dead, released, err := newDirectory()
	if err != nil {
		t.Fatal(err)
	}
	_ = released.Close() // as the kernel does when a process ends
	young := filepath.Join(os.TempDir(), directoryPrefix+"young")
	if err := os.Mkdir(young, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := sweep(os.TempDir()); err != nil {
		t.Fatal(err)
	}
	for path, stays := range map[string]bool{alive: true, dead: false, young: true} {
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("%s: stays %t, %v", path, !stays, err)
		}
	}
}
