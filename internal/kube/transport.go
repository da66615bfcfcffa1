package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	maxRetryAfter  = time.Hour
	maxFailureBody = 64 << 10
)

// frank keeps client-go from sleeping and repeating by itself, up to ten times.
// Retry-After moves from the header to the Status that errors carry; priority and
// fairness answers 429 with plain text, so the Status is made anew. A connection
// that breaks is reported as what it is: client-go makes of it a watch that has
// begun and is empty.
type frank struct{ next http.RoundTripper }

func (t frank) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		// A refused connection is known to the reflector, which then need not list again.
		if r.Context().Err() == nil && !errors.Is(err, syscall.ECONNREFUSED) {
			err = &broken{err}
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < http.StatusInternalServerError {
		return resp, nil
	}
	header := resp.Header.Get("Retry-After")
	if header == "" {
		return resp, nil
	}
	wait := parseWait(header, time.Now())
	old, err := io.ReadAll(io.LimitReader(resp.Body, maxFailureBody))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(failure(resp.StatusCode, r.Method, messageOf(old), wait))
	if err != nil {
		return nil, err
	}
	resp.Header = resp.Header.Clone()
	resp.Header.Del("Retry-After")
	resp.Header.Set("Content-Type", "application/json")
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	resp.ContentLength, resp.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// WrappedRoundTripper lets client-go find the transport below.
func (t frank) WrappedRoundTripper() http.RoundTripper { return t.next }

// broken is a request without an answer. It does not unwrap and has other words,
// for these are what client-go goes by.
type broken struct{ err error }

func (b *broken) Error() string {
	return strings.NewReplacer(
		"connection reset by peer", "the connection was reset",
		"use of closed network connection", "the connection was closed",
		"server sent GOAWAY and closed the connection", "the server has ended the connection",
	).Replace(b.err.Error())
}

// Is lets [errors.Is] look through.
func (b *broken) Is(target error) bool { return errors.Is(b.err, target) }

func failure(code int, method, message string, wait time.Duration) metav1.Status {
	seconds := int((wait + time.Second - 1) / time.Second)
	s := apierrors.NewGenericServerResponse(code, method, schema.GroupResource{}, "", message, seconds, true).ErrStatus
	s.Kind, s.APIVersion = "Status", "v1"
	return s
}

// messageOf finds what a person may read in the body of a failure.
func messageOf(body []byte) string {
	var s metav1.Status
	if json.Unmarshal(body, &s) == nil {
		return s.Message
	}
	if len(body) > 0 && body[0] != '{' && body[0] != 'k' { // not half a JSON document, and not protobuf ("k8s\x00")
		return tame(string(body))
	}
	return ""
}

// parseWait reads seconds or a date (RFC 9110 section 10.2.3), at most an hour.
func parseWait(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(0, at.Sub(now)), maxRetryAfter)
	}
	return 0
}
