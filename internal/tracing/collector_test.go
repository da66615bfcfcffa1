package tracing_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP/HTTP receiver that keeps what it is sent.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	raw      []byte // of every message, so that nothing in it can hide
	headers  []http.Header
	resource map[string]string
	spans    []span
	heard    chan struct{}
}

type span struct {
	*tracepb.Span
	attrs map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{heard: make(chan struct{}, 1)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			t.Error(err)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(r *http.Request) error {
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(zip)
	if err != nil {
		return err
	}
	// An ExportTraceServiceRequest has resource_spans as its field 1, and no other.
	for rest := raw; len(rest) > 0; {
		number, typ, size := protowire.ConsumeTag(rest)
		if number != 1 || typ != protowire.BytesType {
			return fmt.Errorf("a field %d of type %d", number, typ)
		}
		rest = rest[size:]
		rest = rest[max(0, protowire.ConsumeFieldValue(number, typ, rest)):]
	}
	var message tracepb.TracesData
	if err := proto.Unmarshal(raw, &message); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, raw...)
	c.headers = append(c.headers, r.Header.Clone())
	c.headers[len(c.headers)-1].Set("Path", r.Method+" "+r.URL.Path)
	for _, from := range message.ResourceSpans {
		c.resource = texts(from.Resource.Attributes)
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span{Span: s, attrs: texts(s.Attributes)})
			}
		}
	}
	select {
	case c.heard <- struct{}{}:
	default:
	}
	return nil
}

func texts(attrs []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attrs {
		switch v := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.Key] = v.StringValue
		default:
			all[a.Key] = strings.TrimPrefix(a.Value.String(), "int_value:")
		}
	}
	return all
}

func (c *collector) all() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]span(nil), c.spans...)
}

// until waits for spans that pass the condition.
func (c *collector) until(t *testing.T, what string, enough func([]span) bool) []span {
	t.Helper()
	for late := time.After(20 * time.Second); ; {
		if all := c.all(); enough(all) {
			return all
		}
		select {
		case <-c.heard:
		case <-late:
			t.Fatalf("waited in vain for %s among %v", what, names(c.all()))
		}
	}
}

func names(all []span) (list []string) {
	for _, s := range all {
		list = append(list, s.Name+" "+s.attrs["tokend.token"])
	}
	return list
}

func (s span) id() string     { return hex.EncodeToString(s.SpanId) }
func (s span) parent() string { return hex.EncodeToString(s.ParentSpanId) }
func (s span) trace() string  { return hex.EncodeToString(s.TraceId) }
func (s span) failed() bool   { return s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR }
func (s span) from() time.Time {
	return time.Unix(0, int64(s.StartTimeUnixNano))
}
func (s span) to() time.Time {
	return time.Unix(0, int64(s.EndTimeUnixNano))
}

// below are the children of a span, by name; several of a name count upwards.
func below(all []span, root span) map[string][]span {
	children := map[string][]span{}
	for _, s := range all {
		if s.parent() == root.id() && s.trace() == root.trace() {
			children[s.Name] = append(children[s.Name], s)
		}
	}
	return children
}

func roots(all []span, name, token string) (list []span) {
	for _, s := range all {
		if s.parent() == "" && s.Name == name && s.attrs["tokend.token"] == token {
			list = append(list, s)
		}
	}
	return list
}
