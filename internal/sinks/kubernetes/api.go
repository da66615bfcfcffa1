package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokend-project/tokend/internal/kube"
)

// absent is the version that creates a Secret and replaces none: where there is
// one its version differs and the API server answers 409, and where there is none
// a version is not looked at.
const absent = "1"

// onlyMetadata keeps the data out of answers that nobody reads it from.
const (
	onlyMetadata = runtime.ContentTypeProtobuf + asMetadata + "," + runtime.ContentTypeJSON + asMetadata
	asMetadata   = ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
)

// protobufPrefix stands before an object in the API server's protobuf, and tells it
// from JSON.
const protobufPrefix = "k8s\x00"

// readMetadata reads what was asked for as onlyMetadata.
func readMetadata(answer []byte) (m metav1.PartialObjectMetadata, err error) {
	object, ok := bytes.CutPrefix(answer, []byte(protobufPrefix))
	if !ok {
		return m, json.Unmarshal(answer, &m)
	}
	var envelope runtime.Unknown
	if err := envelope.Unmarshal(object); err != nil {
		return m, err
	}
	return m, m.Unmarshal(envelope.Raw)
}

// apply sends the content, on condition that the Secret has this version, and
// returns the version that it has then. An empty one sets no condition.
func (s *Sink) apply(ctx context.Context, c content, version string, dryRun bool) (uid, after string, err error) {
	body, err := s.configuration(c, version)
	if err != nil {
		return "", "", err
	}
	r := s.client.Interface().CoreV1().RESTClient().Patch(types.ApplyPatchType).
		Namespace(s.namespace).Resource("secrets").Name(s.name).
		Param("fieldManager", kube.FieldManager).Param("force", "true").
		SetHeader("Accept", onlyMetadata).Body(body)
	if dryRun {
		r.Param("dryRun", metav1.DryRunAll)
	}
	answer := r.Do(ctx)
	if err := answer.Error(); err != nil {
		return "", "", s.explain(ctx, err, "patch", c.conceal()...)
	}
	raw, err := answer.Raw()
	if err != nil {
		return "", "", s.explain(ctx, err, "patch", c.conceal()...)
	}
	m, err := readMetadata(raw)
	if err != nil || m.ResourceVersion == "" && !dryRun {
		return "", "", fmt.Errorf("patch secrets %s: the API server's answer cannot be read", s.Target())
	}
	return string(m.UID), m.ResourceVersion, nil
}

// read looks at the Secret in etcd, past every cache.
func (s *Sink) read(ctx context.Context) (*corev1.Secret, kube.Seen, error) {
	found, err := s.client.Interface().CoreV1().Secrets(s.namespace).Get(ctx, s.name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, kube.Seen{}, nil
	case err != nil:
		return nil, kube.Seen{}, s.explain(ctx, err, "get")
	}
	return found, kube.See(found), nil
}

func (s *Sink) explain(ctx context.Context, err error, verb string, conceal ...string) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%s secrets %s: %w", verb, s.Target(), cause)
	}
	return kube.Explain(err, verb, "secrets", s.namespace, s.name, conceal...)
}

// undecided reports whether a request that failed may have been carried out all
// the same.
func undecided(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return !ok || status.ErrStatus.Code >= http.StatusInternalServerError
}
