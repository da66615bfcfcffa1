package kubernetes

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// accessWithin is how long the authorizer may take to know a Role; it sees them
// through a watch.
const accessWithin = 20 * time.Second

// Client returns an administrator's client.
func (c *Cluster) Client(t testing.TB) kubernetes.Interface {
	t.Helper()
	c.need(t)
	return clientFor(t, c.Admin())
}

// Namespace creates a namespace and returns its name. It stays there until the
// cluster stops. Where there is no cluster, it skips the test.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	created, err := c.Client(t).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create a namespace: %v", err)
	}
	return created.Name
}

// ServiceAccount creates a ServiceAccount with a Role of the same name that has
// these rules, and returns a config with a bound token of an hour. It returns
// when the API server lets the ServiceAccount do what the rules say. Its user
// name is system:serviceaccount:<namespace>:<name>.
func (c *Cluster) ServiceAccount(t testing.TB, namespace, name string, rules ...rbacv1.PolicyRule) *rest.Config {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := c.Client(t).CoreV1().ServiceAccounts(namespace).Create(t.Context(), account, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create the ServiceAccount: %v", err)
	}
	c.Grant(t, namespace, namespace, name, rules...)
	return c.TokenOf(t, namespace, name)
}

// TokenOf returns a config with a new bound token of an hour for a ServiceAccount
// that exists, made by a TokenRequest.
func (c *Cluster) TokenOf(t testing.TB, namespace, name string) *rest.Config {
	t.Helper()
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(3600))},
	}
	answer, err := c.Client(t).CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("request a token: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.namespaces[answer.Status.Token] = namespace
	config := c.config()
	config.BearerToken = answer.Status.Token
	return config
}

// Kubeconfig writes a kubeconfig file, of mode 0600, with one context. For the
// config of a ServiceAccount its namespace is that of the ServiceAccount.
func (c *Cluster) Kubeconfig(t testing.TB, config *rest.Config) string {
	t.Helper()
	c.mu.Lock()
	namespace := c.namespaces[config.BearerToken]
	c.mu.Unlock()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	file := api.Config{
		Clusters: map[string]*api.Cluster{"testbed": {Server: config.Host, CertificateAuthorityData: config.CAData}},
		AuthInfos: map[string]*api.AuthInfo{"tester": {
			Token: config.BearerToken, ClientCertificateData: config.CertData, ClientKeyData: config.KeyData,
		}},
		Contexts:       map[string]*api.Context{"testbed": {Cluster: "testbed", AuthInfo: "tester", Namespace: namespace}},
		CurrentContext: "testbed",
	}
	if err := clientcmd.WriteToFile(file, path); err != nil {
		t.Fatalf("write a kubeconfig: %v", err)
	}
	return path
}

// Count counts the requests so far of one user, by verb and resource, and fails
// the test where the audit log can't be read.
func (c *Cluster) Count(t testing.TB, user string) map[string]int {
	t.Helper()
	c.need(t)
	requests, err := c.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return requests.Of(user).Counts()
}

func clientFor(t testing.TB, config *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatalf("make a client: %v", err)
	}
	return client
}

// UserName is the user name of a ServiceAccount.
func UserName(namespace, name string) string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", namespace, name)
}

// await asks until the answer is yes.
func await(t testing.TB, what string, yes func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), accessWithin)
	defer cancel()
	for {
		ok, err := yes(ctx)
		if ok {
			return
		}
		if pause(ctx) != nil {
			t.Fatalf("waited %v in vain until %s: %v", accessWithin, what, err)
		}
	}
}
