package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	requestTimeout = 10 * time.Second
	maxAnswer      = 64 << 10
)

// client sends spans by OTLP/HTTP in protobuf. OpenTelemetry's own client follows
// redirects with its headers, takes proxies and more from the environment, repeats
// a collector's body in its errors, and brings gRPC along.
type client struct {
	address string
	headers map[string]token.Secret
	http    *http.Client
}

func newClient(endpoint string, headers map[string]token.Secret) *client {
	return &client{
		address: strings.TrimSuffix(endpoint, "/") + "/v1/traces",
		headers: headers,
		http: &http.Client{
			Timeout: requestTimeout,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 1,
				IdleConnTimeout: time.Minute, TLSHandshakeTimeout: requestTimeout, ForceAttemptHTTP2: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// refusal is an answer other than 2xx.
type refusal int

func (r refusal) Error() string { return fmt.Sprintf("the collector answered HTTP %d", int(r)) }

// partial is how many spans of a batch a collector did not take.
type partial uint64

func (p partial) Error() string { return fmt.Sprintf("the collector took all but %d spans", uint64(p)) }

// final reports whether a batch that failed would fail again: a collector asks
// for it once more by one of four answers, and by no answer at all (OTLP,
// "Failures").
func final(err error) bool {
	if _, ok := errors.AsType[partial](err); ok {
		return true
	}
	status, ok := errors.AsType[refusal](err)
	if !ok {
		return false
	}
	switch int(status) {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// Start and Stop implement otlptrace.Client.
func (*client) Start(context.Context) error { return nil }
func (*client) Stop(context.Context) error  { return nil }

// UploadTraces implements otlptrace.Client: one request. TracesData has the wire
// format of an ExportTraceServiceRequest, whose own package needs gRPC.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	message, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	var body bytes.Buffer
	zip := gzip.NewWriter(&body)
	_, _ = zip.Write(message) // into memory
	_ = zip.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, &body)
	if err != nil {
		return fmt.Errorf("addressing the collector: %w", withoutURL(err))
	}
	for name, value := range c.headers {
		r.Header.Set(name, value.Reveal())
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Set("User-Agent", "tokend")
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("sending spans: %w", withoutURL(err))
	}
	defer answer.Body.Close()                                     //nolint:errcheck // nothing was written
	said, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // the status says what matters
	if answer.StatusCode/100 != 2 {
		return refusal(answer.StatusCode)
	}
	if n := rejected(said); n > 0 {
		return partial(n)
	}
	return nil
}

// rejected reads partial_success.rejected_spans of an ExportTraceServiceResponse;
// 0 when there is none. Both fields have the number 1.
func rejected(answer []byte) uint64 {
	message, _ := protowire.ConsumeBytes(field1(answer, protowire.BytesType))
	n, size := protowire.ConsumeVarint(field1(message, protowire.VarintType))
	if size < 0 {
		return 0
	}
	return n
}

// field1 is what begins with the value of field 1, if it is of that type.
func field1(message []byte, want protowire.Type) []byte {
	for len(message) > 0 {
		number, typ, size := protowire.ConsumeTag(message)
		if size < 0 {
			return nil
		}
		message = message[size:]
		if number == 1 && typ == want {
			return message
		}
		if size = protowire.ConsumeFieldValue(number, typ, message); size < 0 {
			return nil
		}
		message = message[size:]
	}
	return nil
}

func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
