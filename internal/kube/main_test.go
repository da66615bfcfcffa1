package kube_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/tokend-project/tokend/internal/kube"
	testbed "github.com/tokend-project/tokend/test/testbed/kubernetes"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) { os.Exit(testbed.Main(m, &cluster)) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// place is a namespace, tokend's client there, and an administrator's.
type place struct {
	namespace string
	client    *kube.Client
	admin     typedv1.SecretInterface
}

func newPlace(t *testing.T, bed *testbed.Cluster, rules ...rbacv1.PolicyRule) place {
	t.Helper()
	namespace := bed.Namespace(t)
	config := bed.ServiceAccount(t, namespace, "tokend", rules...)
	c, err := kube.NewFromConfig(config, namespace, kube.Options{QPS: -1})
	must(t, err)
	t.Cleanup(c.Close)
	return place{namespace, c, bed.Client(t).CoreV1().Secrets(namespace)}
}

func rule(verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: verbs}
}

func (p place) create(t *testing.T, name string, data map[string]string) *corev1.Secret {
	t.Helper()
	s, err := p.admin.Create(context.Background(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{kube.ManagedByLabel: kube.ManagedBy}}, StringData: data,
	}, metav1.CreateOptions{})
	must(t, err)
	return s
}

func (p place) update(t *testing.T, s *corev1.Secret, key, value string) *corev1.Secret {
	t.Helper()
	s = s.DeepCopy()
	s.StringData = map[string]string{key: value}
	s, err := p.admin.Update(context.Background(), s, metav1.UpdateOptions{})
	must(t, err)
	return s
}

// notices is a channel that a call of its function fills.
func notices() (<-chan struct{}, func()) {
	c := make(chan struct{}, 1)
	return c, func() {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// await waits for notices until the condition holds.
func await(t *testing.T, c <-chan struct{}, what string, holds func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-c:
		case <-limit:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// journal is a log that tests read.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: level}))
}
