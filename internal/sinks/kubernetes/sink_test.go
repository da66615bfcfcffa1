package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/internal/kube"
	"github.com/tokend-project/tokend/internal/sinks"
	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

// served is a sink whose API server is this handler.
func served(t *testing.T, handle http.HandlerFunc) *sink.Sink {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c, err := kube.NewFromConfig(&rest.Config{Host: server.URL}, "shop", kube.Options{QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	s, err := sink.New(sink.Options{Client: c, Name: name, Token: "operator", Data: map[string]sinks.Format{"token": constant("canary")}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFaultsOfOptionsAreAllReported(t *testing.T) {
	t.Parallel()
	c, err := kube.NewFromConfig(&rest.Config{Host: "http://127.0.0.1:1"}, "shop", kube.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = sink.New(sink.Options{
		Client: c, Namespace: "Shop", Name: "a/b",
		Data:        map[string]sinks.Format{"a/b": constant(""), "none": nil},
		Labels:      map[string]string{"app.kubernetes.io/managed-by": "Helm", "a b": "c"},
		Annotations: map[string]string{"tokend/generation": "1"},
	})
	for _, want := range []string{`namespace "Shop"`, `name "a/b"`, `data key "a/b"`, `data key "none"`, `managed-by"`, `label "a b"`, `"tokend/generation"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
	if _, err := sink.New(sink.Options{Client: c, Name: name}); err == nil {
		t.Error("a Secret without data is taken")
	}
	if _, err := sink.New(sink.Options{Name: name}); err == nil {
		t.Error("a Secret without a client is taken")
	}
	s, err := sink.New(sink.Options{Client: c, Name: name, Data: map[string]sinks.Format{"token": constant("")}})
	if err != nil || s.Target() != "shop/rator" {
		t.Errorf("New = %v, %v; want the client's namespace", s, err)
	}
}

// The one who plans retries has to know, and one Write must not sleep.
func TestBusyAPIServerTellsHowLongToWait(t *testing.T) {
	t.Parallel()
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable} {
		requests := 0
		s := served(t, func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.Header().Set("Retry-After", "17")
			w.WriteHeader(code)
		})
		_, err := s.Write(t.Context(), sinktest.Token(1))
		waiter, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err)
		if !ok || waiter.RetryAfter() != 17*time.Second || !strings.Contains(err.Error(), fmt.Sprint(code)) {
			t.Errorf("Write: %v", err)
		}
		if requests != 1 {
			t.Errorf("%d requests were made", requests)
		}
	}
}

func TestSomebodyWhoIsAlwaysQuickerEndsInAnError(t *testing.T) {
	t.Parallel()
	requests := map[string]int{}
	s := served(t, func(w http.ResponseWriter, r *http.Request) {
		requests[r.Method]++
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPatch {
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Conflict","code":409}`))
			return
		}
		fmt.Fprintf(w, `{"kind":"Secret","apiVersion":"v1","type":"Opaque","metadata":{"name":"rator","namespace":"shop","uid":"u","resourceVersion":"%d"}}`, requests["GET"]+10)
	})
	_, err := s.Write(t.Context(), sinktest.Token(1))
	if err == nil || !strings.Contains(err.Error(), "again and again") {
		t.Errorf("Write: %v", err)
	}
	if requests["PATCH"] != 5 {
		t.Errorf("the requests were %v, want five attempts", requests)
	}
}

// A server that hangs must not hold a Write beyond its context, and the cause of
// the end is the error.
func TestHangingAPIServer(t *testing.T) {
	t.Parallel()
	s := served(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	cause := errors.New("the write took too long")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, cause)
	defer cancel()
	if _, err := s.Write(ctx, sinktest.Token(1)); !errors.Is(err, cause) {
		t.Errorf("Write: %v", err)
	}
}
