package manifests

import (
	"context"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/tokend-project/tokend/test/testbed/image"
)

// kubelet runs the containers of Pods as their templates say, in volumes laid out
// as the kubelet does. Networks and limits are the machine's.
type kubelet struct {
	image   *image.Image
	objects objects
	volumes string // directory
	health  string // address of /healthz and /readyz of the last container
}

// serviceAccountDir is where every Pod finds its ServiceAccount.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

func newKubelet(t *testing.T, all objects) *kubelet {
	t.Helper()
	made, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return &kubelet{image: made, objects: all, volumes: t.TempDir()}
}

// daemon is one replica of the Deployment, about to run.
func (k *kubelet) daemon(t *testing.T, pod string) image.Container {
	t.Helper()
	deployment := get[appsv1.Deployment](t, k.objects, "Deployment", "tokend")
	spec := deployment.Spec.Template.Spec
	return k.container(t, deployment.Namespace, pod, spec, spec.Containers[0])
}

func (k *kubelet) container(t *testing.T, namespace, pod string, spec corev1.PodSpec, c corev1.Container) image.Container {
	t.Helper()
	own := &kubelet{image: k.image, objects: k.objects, volumes: filepath.Join(k.volumes, pod), health: freeAddress(t)}
	k.health = own.health
	if uid := *spec.SecurityContext.RunAsUser; uid != int64(k.image.UID) {
		t.Fatalf("the Pod runs as %d, and the image as %d", uid, k.image.UID)
	}
	group := uint32(*spec.SecurityContext.FSGroup)
	made := image.Container{Image: k.image, Args: c.Args, Env: []string{"HOSTNAME=" + pod}, Groups: []uint32{group}}
	for _, m := range c.VolumeMounts {
		made.Mounts = append(made.Mounts, image.Mount{
			Source: own.volume(t, spec, m.Name, int(group)), Target: m.MountPath, ReadOnly: m.ReadOnly,
		})
	}
	if spec.AutomountServiceAccountToken != nil && *spec.AutomountServiceAccountToken {
		made.Mounts = append(made.Mounts, image.Mount{
			Source: own.serviceAccount(t, namespace, spec.ServiceAccountName, int(group)), Target: serviceAccountDir, ReadOnly: true,
		})
	}
	server, err := url.Parse(cluster.Admin().Host)
	if err != nil {
		t.Fatal(err)
	}
	made.Env = append(made.Env, "KUBERNETES_SERVICE_HOST="+server.Hostname(), "KUBERNETES_SERVICE_PORT="+server.Port())
	return made
}

// volume makes a Pod's volume, once, and returns its directory.
func (k *kubelet) volume(t *testing.T, spec corev1.PodSpec, name string, group int) string {
	t.Helper()
	dir := filepath.Join(k.volumes, name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	for _, v := range spec.Volumes {
		switch {
		case v.Name != name:
		case v.ConfigMap != nil:
			files := get[corev1.ConfigMap](t, k.objects, "ConfigMap", v.ConfigMap.Name).Data
			for name, text := range files {
				// Each Pod has an address of its own, and the tests' machine one for all.
				files[name] = strings.ReplaceAll(text, `":9466"`, `"`+k.health+`"`)
			}
			project(t, dir, files, 0o644, group)
			return dir
		case v.Secret != nil:
			secret := get[corev1.Secret](t, k.objects, "Secret", v.Secret.SecretName)
			project(t, dir, secret.StringData, os.FileMode(*v.Secret.DefaultMode), group)
			return dir
		case v.EmptyDir != nil:
			must(t, os.MkdirAll(dir, 0o700), os.Chown(dir, 0, group), os.Chmod(dir, 0o777|os.ModeSetgid))
			return dir
		}
	}
	t.Fatalf("there is no volume %s of a known kind", name)
	return ""
}

func (k *kubelet) serviceAccount(t *testing.T, namespace, account string, group int) string {
	t.Helper()
	dir := filepath.Join(k.volumes, "kube-api-access")
	config := cluster.TokenOf(t, namespace, account)
	project(t, dir, map[string]string{
		"token": config.BearerToken, "ca.crt": string(config.CAData), "namespace": namespace,
	}, 0o640, group)
	return dir
}

// project lays files out as the kubelet does, which swaps one symbolic link when
// they change: ..data leads to the directory that holds them.
func project(t *testing.T, dir string, files map[string]string, mode os.FileMode, group int) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	version, err := os.MkdirTemp(dir, "..")
	must(t, err, os.Chmod(version, 0o755))
	for name := range maps.Keys(files) {
		path := filepath.Join(version, name)
		must(t, os.WriteFile(path, []byte(files[name]), mode), os.Chmod(path, mode), os.Chown(path, 0, group))
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			must(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
		}
	}
	next := filepath.Join(dir, "..data_tmp")
	must(t, os.Symlink(filepath.Base(version), next), os.Rename(next, filepath.Join(dir, "..data")))
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// buildImage builds the image into a directory that lives as long as the tests.
func buildImage(dir string) (*image.Image, error) {
	if err := os.Chmod(dir, 0o755); err != nil { // the image's user passes through
		return nil, err
	}
	return image.Build(context.Background(), image.Options{Source: "../..", Work: dir})
}
