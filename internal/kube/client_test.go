package kube_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/tokend-project/tokend/internal/kube"
)

const kubeconfig = `apiVersion: v1
kind: Config
clusters:
- {name: one, cluster: {server: "https://127.0.0.1:1"}}
- {name: plain, cluster: {server: "http://api.example:8080"}}
users:
- {name: me, user: {token: canary-token}}
contexts:
- {name: shop, context: {cluster: one, user: me, namespace: shop}}
- {name: bare, context: {cluster: one, user: me}}
- {name: plain, context: {cluster: plain, user: me}}
current-context: shop
`

func TestKubeconfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, []byte(kubeconfig), 0o600))
	for _, test := range []struct {
		name, context, namespace, fault string
	}{
		{"current context", "", "shop", ""},
		{"named context", "bare", "default", ""},
		{"unknown context", "nosuch", "", "nosuch"},
		{"plain http", "plain", "", "not https"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, explicit := range []bool{true, false} {
				o := kube.Options{Name: "main", Context: test.context}
				if explicit {
					t.Setenv("KUBECONFIG", "/nonexistent")
					o.Kubeconfig = path
				} else {
					t.Setenv("KUBECONFIG", path)
				}
				t.Setenv("KUBERNETES_SERVICE_HOST", "")
				c, err := kube.New(o)
				if test.fault != "" {
					if err == nil || !strings.Contains(err.Error(), test.fault) || !strings.Contains(err.Error(), `kubernetes "main"`) || strings.Contains(err.Error(), "canary") {
						t.Errorf("New: %v", err)
					}
					continue
				}
				must(t, err)
				if c.Namespace() != test.namespace {
					t.Errorf("the namespace is %q, want %q", c.Namespace(), test.namespace)
				}
				c.Close()
			}
		})
	}
}

func TestKubeconfigThatIsMissingOrBroken(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	broken := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(broken, []byte("{"), 0o600))
	for _, path := range []string{"", "/nonexistent/config", broken} {
		if _, err := kube.New(kube.Options{Kubeconfig: path}); err == nil {
			t.Errorf("New with the kubeconfig %q returned nil", path)
		}
	}
}

// In a pod without an automounted token the error must say what is wrong, and
// not fall back to somebody's ~/.kube/config.
func TestPodWithoutServiceAccountToken(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
	t.Setenv("KUBERNETES_SERVICE_PORT", "1")
	path := filepath.Join(t.TempDir(), "config")
	must(t, os.WriteFile(path, []byte(kubeconfig), 0o600))
	t.Setenv("KUBECONFIG", path)
	if _, err := kube.New(kube.Options{}); err == nil || !strings.Contains(err.Error(), "ServiceAccount") {
		t.Errorf("New: %v", err)
	}
	c, err := kube.New(kube.Options{Kubeconfig: path})
	must(t, err)
	c.Close()
}

// client-go would sleep and repeat up to ten times.
func TestRetryAfterIsToldAndNotSleptOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		code   int
		header string
		body   string
		want   time.Duration
	}{
		{"priority and fairness", 429, "1", "Too many requests, please try again later.\n", time.Second},
		{"a Status", 429, "7", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"TooManyRequests","code":429,"message":"etcd is slow"}`, 7 * time.Second},
		{"503", 503, "3", "", 3 * time.Second},
		{"absurd", 429, "99999999", "", time.Hour},
		{"nonsense", 429, "soon", "", 0},
		{"none", 429, "", "", 0},
		{"a date that is over", 503, "Fri, 02 Jan 2026 03:04:05 GMT", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int32
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests.Add(1)
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				if strings.HasPrefix(test.body, "{") {
					w.Header().Set("Content-Type", "application/json")
				}
				w.WriteHeader(test.code)
				_, _ = w.Write([]byte(test.body))
			})
			_, err := c.Interface().CoreV1().Secrets("shop").Get(t.Context(), "a", metav1.GetOptions{})
			err = fmt.Errorf("wrapped: %w", kube.Explain(err, "get", "secrets", "shop", "a"))
			waiter, ok := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](err)
			if !ok || waiter.RetryAfter() != test.want {
				t.Errorf("the error %v does not ask to wait %s", err, test.want)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests were made", n)
			}
			if test.code == 429 && !apierrors.IsTooManyRequests(err) {
				t.Errorf("IsTooManyRequests does not know %v", err)
			}
		})
	}
}

func serve(t *testing.T, handle http.HandlerFunc) *kube.Client {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := kube.NewFromConfig(&rest.Config{Host: server.URL, BearerToken: "canary"}, "shop", kube.Options{})
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// Leases must be renewed while a thousand Secrets wait for the rate.
func TestCoordinationDoesNotWaitBehindWrites(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	defer server.Close()
	c, err := kube.NewFromConfig(&rest.Config{Host: server.URL}, "", kube.Options{QPS: 0.001, Burst: 1})
	must(t, err)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	get := func(ctx context.Context) error {
		_, err := c.Interface().CoreV1().Secrets("shop").Get(ctx, "a", metav1.GetOptions{})
		return err
	}
	if err := get(ctx); !apierrors.IsNotFound(err) {
		t.Fatalf("the first request: %v", err)
	}
	brief, done := context.WithTimeout(ctx, 50*time.Millisecond)
	defer done()
	if err := get(brief); err == nil || apierrors.IsNotFound(err) {
		t.Errorf("the rate did not hold the second request: %v", err)
	}
	for range 5 {
		if _, err := c.Coordination().CoordinationV1().Leases("shop").Get(ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("a Lease: %v", err)
		}
	}
}

// Proxy variables must not send tokens elsewhere.
func TestProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	c, err := kube.NewFromConfig(&rest.Config{Host: "http://127.0.0.1:2"}, "shop", kube.Options{})
	must(t, err)
	defer c.Close()
	_, err = c.Interface().CoreV1().Secrets("shop").Get(t.Context(), "a", metav1.GetOptions{})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:2: connect") {
		t.Errorf("Get: %v", err)
	}
}

func TestKlogPrintsNothingAndGoesToDebug(t *testing.T) {
	var log journal
	c, err := kube.NewFromConfig(&rest.Config{Host: "http://127.0.0.1:1"}, "shop", kube.Options{Logger: log.logger(slog.LevelDebug)})
	must(t, err)
	defer c.Close()
	read, write, err := os.Pipe()
	must(t, err)
	stderr := os.Stderr
	os.Stderr = write
	klog.Background().Info("canary")
	klog.Error("canary")
	klog.Flush()
	os.Stderr = stderr
	must(t, write.Close())
	if b := make([]byte, 1); func() bool { n, _ := read.Read(b); return n > 0 }() {
		t.Error("klog printed to stderr")
	}
}

func TestProve(t *testing.T) {
	t.Parallel()
	c, err := kube.NewFromConfig(&rest.Config{Host: "http://127.0.0.1:1"}, "shop", kube.Options{})
	must(t, err)
	defer c.Close()
	var calls atomic.Int32
	fault := errors.New("forbidden")
	prove := func(outcome error) error {
		return c.Prove(t.Context(), "a", func(context.Context) error { calls.Add(1); return outcome })
	}
	if err := prove(fault); !errors.Is(err, fault) {
		t.Errorf("Prove: %v", err)
	}
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if err := prove(nil); err != nil {
				t.Errorf("Prove: %v", err)
			}
		})
	}
	wg.Wait()
	if n := calls.Load(); n != 2 {
		t.Errorf("there were %d proofs, want the one that failed and one that stands for ten", n)
	}
	if err := c.Prove(t.Context(), "b", func(context.Context) error { return fault }); !errors.Is(err, fault) {
		t.Errorf("another key: %v", err)
	}
}
