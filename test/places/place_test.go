package places

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/vault"
)

// account is the ServiceAccount that tokend runs as.
const account = "tokend"

// cluster is a namespace for one test, and tokend's ServiceAccount in it.
type cluster struct {
	*kubernetes.Cluster
	namespace  string
	kubeconfig string                  // of the ServiceAccount
	bearer     string                  // its secret
	secrets    typedv1.SecretInterface // as somebody else
}

func verbs(all ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: all}
}

func everything() rbacv1.PolicyRule {
	return verbs("get", "list", "watch", "create", "update", "patch", "delete")
}

func newCluster(t *testing.T, in *kubernetes.Cluster) *cluster {
	t.Helper()
	namespace := in.Namespace(t)
	config := in.ServiceAccount(t, namespace, account, everything())
	return &cluster{
		Cluster: in, namespace: namespace, kubeconfig: in.Kubeconfig(t, config), bearer: config.BearerToken,
		secrets: in.Client(t).CoreV1().Secrets(namespace),
	}
}

// ownCluster is one whose API server a test may kill.
func ownCluster(t *testing.T) *cluster {
	t.Helper()
	return newCluster(t, kubernetes.Own(t))
}

func (c *cluster) grant(t *testing.T, rules ...rbacv1.PolicyRule) {
	t.Helper()
	c.Grant(t, c.namespace, c.namespace, account, rules...)
}

func (c *cluster) block() string {
	return fmt.Sprintf("\nkubernetes \"main\" {\n  kubeconfig = %q\n}\n", c.kubeconfig)
}

// secret is nil where there is none, or nobody to ask.
func (c *cluster) secret(name string) *corev1.Secret {
	s, err := c.secrets.Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		return nil
	}
	return s
}

func (c *cluster) token(name string) string {
	if s := c.secret(name); s != nil {
		return string(s.Data["token"])
	}
	return ""
}

// put stores a Secret as somebody else does, whether or not it is there.
func (c *cluster) put(t *testing.T, name string, data map[string]string) {
	t.Helper()
	made := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: data}
	_, err := c.secrets.Create(t.Context(), made, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = c.secrets.Update(t.Context(), made, metav1.UpdateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// counts are tokend's requests so far, by verb and resource.
func (c *cluster) counts(t *testing.T) map[string]int {
	t.Helper()
	return c.Count(t, kubernetes.UserName(c.namespace, account))
}

// store is a mount of Vault for one test, and tokend's role.
type store struct {
	*vault.Server
	mount, policy string
	role          vault.Role
	secretID      string
}

func newStore(t *testing.T, in *vault.Server) *store {
	t.Helper()
	s := &store{Server: in, mount: in.Mount(t, 2)}
	s.policy = in.Policy(t, s.rules())
	s.role = in.AppRole(t, vault.Token{Policies: []string{s.policy}})
	s.secretID = s.role.SecretID(t)
	return s
}

// rules are all that tokend may need in the mount.
func (s *store) rules() string {
	return fmt.Sprintf(`
path "%[1]s/data/*"     { capabilities = ["create", "update", "read", "delete"] }
path "%[1]s/metadata/*" { capabilities = ["create", "update", "read", "list", "delete"] }
`, s.mount)
}

// nothing is a policy for somewhere else.
const nothing = `path "elsewhere/*" { capabilities = ["read"] }`

func (s *store) block() string {
	return fmt.Sprintf(`
vault "main" {
  address = %q
  timeout = "5s"
  tls {
    ca_file = %q
  }
  auth "approle" {
    mount     = %q
    role_id   = %q
    secret_id = %q
  }
}
`, s.Address, s.CAFile, s.role.Mount, s.role.RoleID, s.secretID)
}

func (s *store) put(t *testing.T, path string, data map[string]string) {
	t.Helper()
	s.Do(t, http.MethodPost, s.mount+"/data/"+path, map[string]any{"data": data})
}

// token is empty where there is none, or nobody to ask.
func (s *store) token(path string) string {
	answer, err := s.Call(context.Background(), http.MethodGet, s.mount+"/data/"+path, nil)
	data, ok := answer["data"].(map[string]any)
	if err != nil || !ok {
		return ""
	}
	token, _ := data["token"].(string)
	return token
}

// writes are the requests so far that write an entry.
func (s *store) writes(t *testing.T, path string) int {
	t.Helper()
	return s.Count(t, "PUT /v1/"+s.mount+"/data/"+path) + s.Count(t, "POST /v1/"+s.mount+"/data/"+path)
}

// decode reads JSON that a command has printed.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(errors.Join(err, errors.New(text)))
	}
	return v
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
