package kube_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tokend-project/tokend/internal/kube"
)

func secrets() schema.GroupResource { return schema.GroupResource{Resource: "secrets"} }

func forbidden(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: 403, Reason: metav1.StatusReasonForbidden, Message: message,
	}}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	terminating := apierrors.NewForbidden(secrets(), "rator", errors.New("being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{
			"ServiceAccount without the verb",
			forbidden(`secrets "rator" is forbidden: User "system:serviceaccount:ops:tokend" cannot patch resource "secrets" in API group "" in the namespace "shop"`),
			`patch secrets shop/rator: the ServiceAccount ops/tokend may not patch secrets in the namespace shop (403): its Role needs the rule {apiGroups: [""], resources: ["secrets"], verbs: ["patch"]}`,
		},
		{
			"apply that would create",
			forbidden(`secrets "rator" is forbidden: User "jane" cannot create resource "secrets" in API group "" in the namespace "shop"`),
			`patch secrets shop/rator: the user "jane" may not create secrets in the namespace shop (403): its Role needs the rule {apiGroups: [""], resources: ["secrets"], verbs: ["create"]}`,
		},
		{"admission", forbidden(`denied by policy`), "patch secrets shop/rator: an admission rule of the API server refuses it (403): denied by policy"},
		{"namespace that is being deleted", terminating, `patch secrets shop/rator: the namespace "shop" is being deleted (403)`},
		{"missing namespace", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "shop"), `patch secrets shop/rator: the namespace "shop" does not exist (404): create it`},
		{"missing", apierrors.NewNotFound(secrets(), "rator"), "patch secrets shop/rator: it does not exist (404)"},
		{"conflict", apierrors.NewConflict(secrets(), "rator", errors.New("x")), "patch secrets shop/rator: somebody else changed it at the same time (409)"},
		{"expired token", apierrors.NewUnauthorized("Unauthorized"), "patch secrets shop/rator: the API server does not accept tokend's credentials (401): the ServiceAccount or the kubeconfig's user may be gone or expired"},
		{"busy", apierrors.NewTooManyRequests("slow down", 9), "patch secrets shop/rator: the API server is busy (429) and asks to wait 9s"},
		{"too large", apierrors.NewRequestEntityTooLargeError("limit is 3145728"), "patch secrets shop/rator: it is too large for the API server (413)"},
		{"internal", apierrors.NewInternalError(errors.New("etcd is gone")), "patch secrets shop/rator: the API server cannot do it now (500): Internal error occurred: etcd is gone"},
		{"bad request", apierrors.NewBadRequest("no"), "patch secrets shop/rator: the API server refuses it (400): no"},
		{
			"refused connection",
			&url.Error{Op: "Patch", URL: "https://10.0.0.1:443/api/v1/namespaces/shop/secrets/rator?fieldManager=tokend", Err: syscall.ECONNREFUSED},
			"patch secrets shop/rator: reach the API server 10.0.0.1:443: connection refused",
		},
		{"control characters", forbidden("a\x1b[31m\nb"), "patch secrets shop/rator: an admission rule of the API server refuses it (403): a [31m b"},
		{"long", forbidden(strings.Repeat("é", 1000)), "patch secrets shop/rator: an admission rule of the API server refuses it (403): " + strings.Repeat("é", 128) + "…"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := kube.Explain(test.err, "patch", "secrets", "shop", "rator")
			if got.Error() != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if again := kube.Explain(fmt.Errorf("x: %w", got), "get", "leases", "", ""); again != got {
				t.Errorf("explained twice it is %v", again)
			}
			if apierrors.ReasonForError(got) != apierrors.ReasonForError(test.err) {
				t.Errorf("the reason %s is lost", apierrors.ReasonForError(test.err))
			}
		})
	}
	if kube.Explain(nil, "get", "secrets", "", "") != nil {
		t.Error("nil is an error")
	}
}

func TestExplainKeepsTheCause(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{context.DeadlineExceeded, context.Canceled, syscall.ECONNRESET} {
		err := kube.Explain(&url.Error{Op: "Get", URL: "https://h/?secret=canary", Err: fmt.Errorf("canary: %w", cause)}, "get", "secrets", "shop", "a")
		if !errors.Is(err, cause) || strings.Contains(err.Error(), "secret=") {
			t.Errorf("%v", err)
		}
	}
}

// An admission webhook is free to repeat what it was sent.
func TestExplainConceals(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{
		forbidden("denied: canary"),
		&url.Error{Op: "Get", URL: "https://h/", Err: fmt.Errorf("canary: %w", context.DeadlineExceeded)},
		apierrors.NewInvalid(schema.GroupKind{Kind: "Secret"}, "canary", nil),
	} {
		err := kube.Explain(cause, "patch", "secrets", "shop", "a", "canary", "")
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "canary") {
				t.Errorf("%T says %v", e, e)
			}
		}
		if errors.Is(cause, context.DeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
			t.Error("the cause is lost")
		}
	}
}
