package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxMessage bounds what is kept of a server's message, in bytes.
const maxMessage = 256

// Error is a failed call in plain words. It says what was tried, what the API
// server's answer means and what a person can do. The server's own message is
// cut and escaped, and a URL has no query.
//
// The functions of k8s.io/apimachinery/pkg/api/errors see through it, and so does
// [errors.Is] with the cause of a failure to reach the server.
type Error struct {
	message string
	wait    time.Duration
	cause   error
}

func (e *Error) Error() string { return e.message }

func (e *Error) Unwrap() error { return e.cause }

// RetryAfter is how long the API server asked to wait; 0 when it did not. It is at
// most an hour.
func (e *Error) RetryAfter() time.Duration { return e.wait }

// Explain puts the error of a call into plain words: what was tried is verb (as
// RBAC calls it, such as "patch") on the resource ("secrets") of that name; name
// and namespace may be empty. A nil err gives nil, and an [*Error] is returned as
// it is.
//
// conceal lists what the message must not show: an admission webhook is free to
// repeat what it was sent. Nothing of err survives but its type, its reason and
// the message so treated.
func Explain(err error, verb, resource, namespace, name string, conceal ...string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	subject := strings.Join(nonempty(verb, resource, strings.Trim(namespace+"/"+name, "/")), " ")
	status, ok := errors.AsType[interface {
		error
		apierrors.APIStatus
	}](err)
	if !ok {
		cause := unreached(err)
		return &Error{message: fmt.Sprintf("%s: %s", subject, tame(hide(cause.Error(), conceal))), cause: quietCause(cause, conceal)}
	}
	c := call{verb: verb, resource: resource, namespace: namespace, name: name}
	s := strip(status.Status(), conceal)
	e := &Error{message: subject + ": " + c.explain(err, s), cause: &apierrors.StatusError{ErrStatus: s}}
	if s.Details != nil {
		e.wait = min(time.Duration(s.Details.RetryAfterSeconds)*time.Second, maxRetryAfter)
	}
	return e
}

// call is what was tried.
type call struct{ verb, resource, namespace, name string }

func (c call) explain(err error, s metav1.Status) string {
	switch {
	case apierrors.IsForbidden(err):
		return c.forbidden(s)
	case apierrors.IsUnauthorized(err):
		return "the API server does not accept tokend's credentials (401): the ServiceAccount or the kubeconfig's user may be gone or expired"
	case apierrors.IsNotFound(err) && s.Details != nil && s.Details.Kind == "namespaces":
		return fmt.Sprintf("the namespace %q does not exist (404): create it", s.Details.Name)
	case apierrors.IsNotFound(err):
		return "it does not exist (404)"
	case apierrors.IsConflict(err):
		return "somebody else changed it at the same time (409)"
	case apierrors.IsInvalid(err):
		return "the API server refuses it as invalid (422): " + s.Message
	case apierrors.IsTooManyRequests(err):
		return "the API server is busy (429)" + after(s)
	case apierrors.IsRequestEntityTooLargeError(err):
		return "it is too large for the API server (413)"
	case s.Code >= 500:
		return fmt.Sprintf("the API server cannot do it now (%d)%s: %s", s.Code, after(s), s.Message)
	}
	return fmt.Sprintf("the API server refuses it (%d): %s", s.Code, s.Message)
}

func after(s metav1.Status) string {
	if s.Details == nil || s.Details.RetryAfterSeconds <= 0 {
		return ""
	}
	return fmt.Sprintf(" and asks to wait %s", time.Duration(s.Details.RetryAfterSeconds)*time.Second)
}

// denied is how the RBAC authorizer words its refusal. The verb in it may be
// another than that of the request: to apply what is not there takes create too.
var denied = regexp.MustCompile(`User "([^"]*)" cannot ([a-z]+) resource "([^"]+)" in API group "([^"]*)"`)

func (c call) forbidden(s metav1.Status) string {
	for _, cause := range causes(s) {
		if cause.Type == corev1.NamespaceTerminatingCause {
			return fmt.Sprintf("the namespace %q is being deleted (403)", c.namespace)
		}
	}
	m := denied.FindStringSubmatch(s.Message)
	if m == nil {
		return "an admission rule of the API server refuses it (403): " + s.Message
	}
	who, verb, resource, group := account(m[1]), m[2], m[3], m[4]
	where, kind := "in the namespace "+c.namespace, "Role"
	if c.namespace == "" {
		where, kind = "in the cluster", "ClusterRole"
	}
	return fmt.Sprintf("%s may not %s %s %s (403): its %s needs the rule {apiGroups: [%q], resources: [%q], verbs: [%q]}",
		who, verb, resource, where, kind, group, resource, verb)
}

// account names a user the way a manifest does.
func account(user string) string {
	if rest, ok := strings.CutPrefix(user, "system:serviceaccount:"); ok {
		return "the ServiceAccount " + strings.Replace(rest, ":", "/", 1)
	}
	return fmt.Sprintf("the user %q", user)
}

func causes(s metav1.Status) []metav1.StatusCause {
	if s.Details == nil {
		return nil
	}
	return s.Details.Causes
}

// strip keeps of a Status what programs read, and a harmless message.
func strip(s metav1.Status, conceal []string) metav1.Status {
	kept := metav1.Status{Status: s.Status, Reason: s.Reason, Code: s.Code, Message: tame(hide(s.Message, conceal))}
	if s.Details == nil {
		return kept
	}
	kept.Details = &metav1.StatusDetails{
		Name: s.Details.Name, Group: s.Details.Group, Kind: s.Details.Kind, UID: s.Details.UID,
		RetryAfterSeconds: s.Details.RetryAfterSeconds,
	}
	for _, cause := range s.Details.Causes {
		kept.Details.Causes = append(kept.Details.Causes, metav1.StatusCause{Type: cause.Type, Field: tame(hide(cause.Field, conceal))})
	}
	return kept
}

// unreached finds the cause below client-go's *url.Error, whose URL has a query.
func unreached(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("reach the API server%s: %w", hostOf(u.URL), u.Err)
	}
	return err
}

func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return " " + u.Host
	}
	return ""
}

// quietCause hides a cause that shows what it must not.
func quietCause(err error, conceal []string) error {
	if text := err.Error(); hide(text, conceal) == text {
		return err
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	return errors.New(hide(err.Error(), conceal))
}

func hide(text string, conceal []string) string {
	for _, secret := range conceal {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}

// tame makes a server's text fit for a terminal and a log.
func tame(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

func nonempty(words ...string) []string {
	kept := words[:0]
	for _, w := range words {
		if w != "" {
			kept = append(kept, w)
		}
	}
	return kept
}
