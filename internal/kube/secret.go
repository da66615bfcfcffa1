package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/tokend-project/tokend/internal/token"
)

// ErrNoKey is wrapped where a Secret has no such key.
var ErrNoKey = errors.New("the Secret has no such key")

// SecretKey reads one key of any Secret. It needs the verb get. An empty
// namespace stands for the client's own. The error wraps [ErrNoKey] for a key that
// is not there, and has a reason (of k8s.io/apimachinery/pkg/api/errors) where the
// API server has refused.
func (c *Client) SecretKey(ctx context.Context, namespace, name, key string) (token.Secret, error) {
	namespace = c.or(namespace)
	s, err := c.main.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return token.Secret{}, Explain(err, "get", "secrets", namespace, name)
	}
	value, ok := s.Data[key]
	if !ok {
		keys := among(slices.Sorted(maps.Keys(s.Data)))
		return token.Secret{}, &Error{message: fmt.Sprintf("get secrets %s/%s: it has no key %q%s", namespace, name, key, keys), cause: ErrNoKey}
	}
	return token.NewSecret(string(value)), nil
}

func among(keys []string) string {
	if len(keys) == 0 {
		return ", and no other either"
	}
	return ", but " + strings.Join(keys, ", ")
}

// WatchSecret calls changed whenever any one Secret may have changed, and once
// when the watch has started, until stop is called. The rules of
// [Secrets.Subscribe] hold. It needs the verbs list and watch, for which a Role
// may name the Secret in resourceNames.
func (c *Client) WatchSecret(namespace, name string, changed func()) (stop func()) {
	s := source{client: c, filter: filter{
		namespace: c.or(namespace),
		fields:    fields.OneTermEqualSelector(metav1.ObjectNameField, name).String(),
	}}
	return s.subscribe(name, changed)
}

func (c *Client) or(namespace string) string {
	if namespace == "" {
		return c.namespace
	}
	return namespace
}
