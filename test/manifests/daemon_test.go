package manifests

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokend-project/tokend/test/testbed/image"
	"github.com/tokend-project/tokend/test/testbed/kubernetes"
)

// secretKey is a key of a Secret, empty where there is none.
func secretKey(ctx context.Context, t *testing.T, namespace, name, key string) string {
	t.Helper()
	secret, err := cluster.Client(t).CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return ""
	}
	return string(secret.Data[key])
}

// ready asks as the kubelet's probe does.
func ready(ctx context.Context, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func TestReplicasFillTheSecretsThatPodsMount(t *testing.T) {
	t.Parallel()
	image.NeedRoot(t)
	all, p := elsewhere(t)
	server := newProvider(t)
	configure(t, all, server)
	apply(t, all)
	awaitRoles(t, all, p)
	node := newKubelet(t, all)

	first := node.daemon(t, "tokend-a").Start(t)
	firstHealth := node.health
	await(t, 30*time.Second, "the Secret is there", func(ctx context.Context) bool {
		return strings.HasPrefix(secretKey(ctx, t, p.shop, "example-token", "header"), "Authorization: Bearer token-") &&
			strings.Contains(secretKey(ctx, t, p.billing, "billing-token", "env"), "BILLING_TOKEN=")
	})
	await(t, 10*time.Second, "the first replica is ready", func(ctx context.Context) bool { return ready(ctx, firstHealth) })

	c := node.daemon(t, "tokend-b")
	second := c.Start(t)
	secondHealth := node.health
	await(t, 30*time.Second, "the second replica stands by, ready", func(ctx context.Context) bool { return ready(ctx, secondHealth) })
	holder := leaseHolder(t, p)

	first.Signal(syscall.SIGTERM)
	if code := first.Wait(t, 60*time.Second); code != 0 {
		t.Fatalf("at SIGTERM it ended with %d", code)
	}
	await(t, 30*time.Second, "the second replica has the Lease", func(context.Context) bool {
		now := leaseHolder(t, p)
		return now != "" && now != holder
	})
	await(t, 10*time.Second, "the second replica is ready", func(ctx context.Context) bool { return ready(ctx, secondHealth) })
	if logins := server.logins.Load(); logins != 2 {
		t.Errorf("two tokens took %d logins: a take-over or a standby has logged in", logins)
	}
	second.Signal(syscall.SIGTERM)
	if code := second.Wait(t, 60*time.Second); code != 0 {
		t.Fatalf("at SIGTERM it ended with %d", code)
	}
	noneWasForbidden(t, p)
}

func leaseHolder(t *testing.T, p places) string {
	t.Helper()
	lease, err := cluster.Client(t).CoordinationV1().Leases(p.tokend).Get(t.Context(), "tokend", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

func noneWasForbidden(t *testing.T, p places) {
	t.Helper()
	requests, err := cluster.Requests(t.Context())
	must(t, err)
	for _, r := range requests.Of(kubernetes.UserName(p.tokend, "tokend")) {
		if r.Code == http.StatusForbidden {
			t.Errorf("%s %s %s/%s was forbidden", r.Verb, r.Resource, r.Namespace, r.Name)
		}
	}
}

// TestDaemonWithAVerbLessSaysWhichOne is about the whole daemon; each verb has
// been tested by parts.
func TestDaemonWithAVerbLessSaysWhichOne(t *testing.T) {
	t.Parallel()
	image.NeedRoot(t)
	for _, gone := range []right{
		{"tokend", "secrets", "update"}, {"tokend", "leases", "create"}, {"tokend-sink", "secrets", "patch"},
	} {
		t.Run(gone.String(), func(t *testing.T) {
			t.Parallel()
			all, p := elsewhere(t)
			configure(t, all, newProvider(t))
			without(t, all, gone)
			apply(t, all)
			awaitRoles(t, all, p)
			node := newKubelet(t, all)
			daemon := node.daemon(t, "tokend-a").Start(t)
			daemon.Await(t, 30*time.Second, "the verb is named", func(output string) bool {
				return strings.Contains(strings.ReplaceAll(output, `\`, ""),
					fmt.Sprintf(`resources: [%q], verbs: [%q]`, gone.resource, gone.verb))
			})
			switch gone {
			case right{"tokend", "secrets", "update"}:
				// Without a state nothing may be spent, so that it does not even begin.
				if code := daemon.Wait(t, 10*time.Second); code != 1 {
					t.Errorf("it ended with %d", code)
				}
			case right{"tokend-sink", "secrets", "patch"}:
				if ready(t.Context(), node.health) {
					t.Error("it calls itself ready")
				}
			}
		})
	}
}
