// Package probe asks a resource whether it still takes a token.
//
// An expiry is only what the authorization server said at the issue. The resource
// has the last word: a 401 means that a new token is needed now, whatever the
// expiry said (RFC 6750 section 3.1). Nothing else a resource may answer means
// that, so a probe says "refused" on that evidence alone.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokend-project/tokend/internal/loopback"
	"github.com/tokend-project/tokend/internal/token"
)

const (
	defaultTimeout = 10 * time.Second
	maxBody        = 64 << 10 // read to keep the connection; a longer body costs it
)

// Verdict is what a resource says about a token.
type Verdict uint8

const (
	// Unknown: the resource said nothing about the token.
	Unknown Verdict = iota
	// Accepted: the resource knows the token, be it that it forbids the request.
	Accepted
	// Refused: the resource takes the token for invalid.
	Refused
)

// String returns the verdict as it stands in logs and metrics.
func (v Verdict) String() string { return [...]string{"unknown", "accepted", "refused"}[min(v, 2)] }

// Options describe a probe.
type Options struct {
	URL               string
	Method            string                  // default GET
	Headers           map[string]token.Secret // sent with every request; Authorization replaces the bearer token
	Timeout           time.Duration           // over all of the request; 0 stands for 10 s
	Transport         http.RoundTripper       // shared by the probes with one TLS setting; see NewTransport
	AllowInsecureHTTP bool                    // permits http:// to what is not a loopback address
}

// Probe asks one resource. It is immutable and safe for concurrent use.
type Probe struct {
	url     *url.URL
	method  string
	headers map[string]token.Secret
	timeout time.Duration
	client  *http.Client
}

// New checks the options. It sends nothing.
func New(o Options) (*Probe, error) {
	u, err := parse(o.URL, o.AllowInsecureHTTP)
	if err != nil {
		return nil, err
	}
	if o.Transport == nil {
		return nil, errors.New("a probe needs a transport")
	}
	if o.Timeout < 0 {
		return nil, fmt.Errorf("the timeout %s of a probe is negative", o.Timeout)
	}
	p := &Probe{url: u, method: o.Method, headers: o.Headers, timeout: o.Timeout}
	if p.method == "" {
		p.method = http.MethodGet
	}
	if p.timeout == 0 {
		p.timeout = defaultTimeout
	}
	p.client = &http.Client{
		Transport: o.Transport,
		// A redirect would carry the token to wherever the answer says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if _, err := p.request(context.Background(), token.Token{}); err != nil {
		return nil, err
	}
	return p, nil
}

func parse(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("the URL of a probe cannot be parsed") // its text may hold a secret
	case u.User != nil:
		return nil, errors.New("the URL of a probe must not hold a user or password; use headers")
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("the URL of a probe must begin with https:// and name a host")
	case u.Scheme == "http" && !insecure && !loopback.Is(u.Hostname()):
		return nil, fmt.Errorf("the URL of a probe would send the token to %s unencrypted; use https, or set allow_insecure_http = true", u.Host)
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}

// Check sends one request with the token (RFC 6750 section 2.1) and judges the
// answer. The error says why a verdict is not Accepted; it holds neither a secret
// nor the URL's query. Check does not retry.
func (p *Probe) Check(ctx context.Context, t token.Token) (Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := p.request(ctx, t)
	if err != nil {
		return Unknown, err
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return Unknown, fmt.Errorf("probe %s: %w", p.place(), plain(err))
	}
	defer resp.Body.Close() //nolint:errcheck // the answer is complete or given up
	_, _ = io.CopyN(io.Discard, resp.Body, maxBody)
	v, reason := judge(resp)
	if reason != "" {
		return v, fmt.Errorf("probe %s: HTTP %d: %s", p.place(), resp.StatusCode, reason)
	}
	return v, nil
}

func (p *Probe) request(ctx context.Context, t token.Token) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, p.method, p.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("the method %q of a probe is none", p.method)
	}
	req.Header.Set("Authorization", "Bearer "+t.AccessToken.Reveal())
	for name, value := range p.headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value.Reveal()
			continue
		}
		req.Header.Set(name, value.Reveal())
	}
	return req, nil
}

// place is the URL as it may be shown: some APIs take secrets in the query.
func (p *Probe) place() string {
	return p.url.Scheme + "://" + p.url.Host + p.url.EscapedPath()
}

// errNoHTTP stands for errors of net/http that quote what the server sent, which
// may be the token.
var errNoHTTP = errors.New("the answer is not HTTP, or the TLS handshake failed")

// plain strips the URL that net/http puts into its errors, and lets only those
// through that are known to quote nothing.
func plain(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return context.DeadlineExceeded
	}
	_, operation := errors.AsType[*net.OpError](err)
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	if operation || certificate || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
		return err
	}
	return errNoHTTP
}
