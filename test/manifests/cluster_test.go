package manifests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/tokend-project/tokend/test/testbed/image"
	"github.com/tokend-project/tokend/test/testbed/kubernetes"
)

var (
	cluster *kubernetes.Cluster
	built   func() (*image.Image, error) // the project's image, made when it is first needed
)

func TestMain(m *testing.M) { os.Exit(runAll(m)) }

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokend-manifests-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	built = sync.OnceValues(func() (*image.Image, error) { return buildImage(dir) })
	return kubernetes.Main(m, &cluster)
}

const root = "../../manifests"

// objects are what a kustomization renders to.
type objects []*unstructured.Unstructured

// render has kustomize build an overlay; with a namespace, as if that stood in
// the overlay.
func render(t *testing.T, overlay, namespace string) objects {
	t.Helper()
	kustomize, err := kubernetes.Tool(t.Context(), "kustomize")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "overlays", overlay)
	if namespace != "" {
		dir = inNamespace(t, overlay, namespace)
	}
	cmd := exec.CommandContext(t.Context(), kustomize, "build", dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("kustomize build: %v: %s", err, stderr.Bytes())
	}
	return decode(t, out)
}

// inNamespace changes the one line of a copy that says so.
func inNamespace(t *testing.T, overlay, namespace string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(root)); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "overlays", overlay)
	path := filepath.Join(copied, "kustomization.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(content), "namespace: tokend\n", "namespace: "+namespace+"\n", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

func decode(t *testing.T, stream []byte) objects {
	t.Helper()
	var all objects
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); err != nil {
			break // the end
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
	if len(all) == 0 {
		t.Fatalf("nothing was rendered: %s", stream)
	}
	return all
}

// get returns the one object of a kind and name, as its type.
func get[T any](t *testing.T, all objects, kind, name string) *T {
	t.Helper()
	at := slices.IndexFunc(all, func(o *unstructured.Unstructured) bool {
		return o.GetKind() == kind && o.GetName() == name
	})
	if at < 0 {
		t.Fatalf("there is no %s %s", kind, name)
	}
	typed := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(all[at].Object, typed, true); err != nil {
		t.Fatalf("%s %s: %v", kind, name, err)
	}
	return typed
}

// warnings keeps what the API server warns of.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// apply applies objects server-side, strictly, and returns the warnings.
func apply(t *testing.T, all objects) []string {
	t.Helper()
	config := cluster.Admin()
	heard := &warnings{}
	config.WarningHandler = heard
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	mapper := resources(t)
	options := metav1.PatchOptions{FieldManager: "test", FieldValidation: metav1.FieldValidationStrict}
	for _, object := range all {
		kind := object.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			t.Fatal(err)
		}
		body, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			resource = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		if _, err := resource.Patch(t.Context(), object.GetName(), "application/apply-patch+yaml", body, options); err != nil {
			t.Fatalf("apply %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	heard.mu.Lock()
	defer heard.mu.Unlock()
	return heard.said
}

func resources(t *testing.T) meta.RESTMapper {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(cluster.Admin())
	if err != nil {
		t.Fatal(err)
	}
	groups, err := restmapper.GetAPIGroupResources(client)
	if err != nil {
		t.Fatal(err)
	}
	return restmapper.NewDiscoveryRESTMapper(groups)
}

// await asks another process until the answer is yes.
func await(t *testing.T, within time.Duration, what string, yes func(context.Context) bool) {
	t.Helper()
	deadline := time.Now().Add(within)
	for !yes(t.Context()) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v in vain until %s", within, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
