package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/tokend-project/tokend/test/testbed/image"
)

func TestConfigurationsAreValidInTheirPods(t *testing.T) {
	t.Parallel()
	image.NeedRoot(t)
	for _, overlay := range []string{"one-namespace", "many-namespaces"} {
		all := render(t, overlay, "")
		configure(t, all, newProvider(t))
		apply(t, ofKinds(all, "Namespace", "ServiceAccount"))
		daemon := newKubelet(t, all).daemon(t, overlay)
		daemon.Args = []string{"validate"}
		if out, code := daemon.Run(t); code != 0 || !strings.Contains(out, "0 warnings") {
			t.Errorf("%s: validate ended with %d: %s", overlay, code, out)
		}
	}
}

// ofKinds are the objects of some kinds, in their order.
func ofKinds(all objects, kinds ...string) (some objects) {
	for _, o := range all {
		if slices.Contains(kinds, o.GetKind()) {
			some = append(some, o)
		}
	}
	return some
}

// TestExampleIsRefusedWithItsPlaceholders keeps a cluster from running with a
// state key that everybody knows.
func TestExampleIsRefusedWithItsPlaceholders(t *testing.T) {
	t.Parallel()
	all := render(t, "one-namespace", "")
	for _, o := range all {
		if secret, found := o.Object["stringData"].(map[string]any); found {
			if key, ok := secret["state-key"].(string); ok && len(key) >= 32 {
				t.Error("the example's state key is long enough to be taken")
			}
		}
	}
}

func TestJobFindsItsTokenWhenItBegins(t *testing.T) {
	t.Parallel()
	image.NeedRoot(t)
	all := render(t, "one-namespace", "")
	server := newProvider(t)
	configure(t, all, server)
	template := get[batchv1.CronJob](t, all, "CronJob", "example-report").Spec.JobTemplate.Spec.Template
	kubelet := newKubelet(t, all)
	if out, code := kubelet.container(t, "tokend", "job", template.Spec, template.Spec.InitContainers[0]).Run(t); code != 0 {
		t.Fatalf("the init container ended with %d: %s", code, out)
	}
	job := template.Spec.Containers[0]
	run := kubelet.container(t, "tokend", "job", template.Spec, job).Mounts[0]
	_, argument, found := strings.Cut(strings.Join(job.Args, " "), "@"+run.Target)
	path, _, _ := strings.Cut(argument, " ")
	content, err := os.ReadFile(filepath.Join(run.Source, path))
	if !found || err != nil || strings.TrimSpace(string(content)) != "Authorization: Bearer token-1" {
		t.Fatalf("%q, %v", content, err)
	}
	if info, err := os.Stat(filepath.Join(run.Source, path)); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}
