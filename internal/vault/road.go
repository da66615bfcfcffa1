package vault

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tokend-project/tokend/internal/loopback"
)

const (
	maxAnswer       = 32 << 20 // a list of a hundred thousand names is 4 MiB
	dialTimeout     = 5 * time.Second
	maxIdlePerHost  = 64
	idleConnTimeout = 60 * time.Second
	pingAfter       = 10 * time.Second
)

// road is the one way to the server: it knows the addresses, goes to the next when
// one can't be reached, and follows a standby's redirect to another of them.
type road struct {
	transport *http.Transport
	addresses []*url.URL
	active    atomic.Int32 // index of the address that answered last
}

// lost is an error of the way itself: no answer was read.
type lost struct {
	sent bool // the request's head left, so the server may have acted
	err  error
}

func (l *lost) Error() string { return l.err.Error() }
func (l *lost) Unwrap() error { return l.err }

// strayed is a redirect that is not followed.
type strayed struct{ host string }

func (s *strayed) Error() string {
	return fmt.Sprintf("it redirects to %q, which is not a configured address", s.host)
}

func newRoad(o Options) (*road, error) {
	r := &road{}
	for _, raw := range append([]string{o.Address}, o.Standbys...) {
		u, err := parseAddress(raw, o.AllowInsecureHTTP)
		if err != nil {
			return nil, err
		}
		r.addresses = append(r.addresses, u)
	}
	secured, err := o.TLS.config()
	if err != nil {
		return nil, err
	}
	r.transport = &http.Transport{
		// No proxy: whoever runs tokend behind one says so in the configuration, not
		// in an environment variable that a parent process left behind.
		Proxy:               nil,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSClientConfig:     secured,
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true, // no small answer grows into a large one
		// Without pings a connection whose other end is gone without a word keeps all
		// requests of the next quarter of an hour.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: dialTimeout},
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleConnTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return r, nil
}

func parseAddress(raw string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("read address: write it as https://host or https://host:port")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return nil, fmt.Errorf("read address: %s://%s must have no user, path, query or fragment", u.Scheme, u.Host)
	}
	if u.Scheme == "http" && !insecure && !loopback.Is(u.Hostname()) {
		return nil, fmt.Errorf("read address: plain http to %q would show the token to the network; use https", u.Host)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func (t TLS) config() (*tls.Config, error) {
	c := &tls.Config{ServerName: t.ServerName, MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read ca_file: %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return nil, errors.New("cert_file and key_file go together")
	}
	if t.CertFile == "" {
		return c, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		return &pair, nil
	}
	// Asked at every handshake: a short-lived certificate is replaced under us. And
	// asked whatever authorities the server lists, because those of Vault's cert
	// auth method are not among them.
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	_, err := load()
	return c, err
}

// RoundTrip implements [http.RoundTripper]. Its error is a [*lost] or a [*strayed].
func (r *road) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := takeBody(req)
	if err != nil {
		return nil, &lost{err: err}
	}
	at := int(r.active.Load())
	for hops := 1; ; hops++ {
		resp, err := r.try(req, at, body)
		last := hops >= 2*len(r.addresses)
		switch {
		case err != nil:
			if err.sent || last || len(r.addresses) == 1 || req.Context().Err() != nil {
				return nil, err
			}
			at = (at + 1) % len(r.addresses)
		case redirects(resp.StatusCode):
			_ = resp.Body.Close()
			host, next := r.target(resp)
			if next < 0 || next == at || last {
				return nil, &strayed{host}
			}
			at = next
		default:
			r.active.Store(int32(at))
			resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswer)
			return resp, nil
		}
	}
}

// try sends the request to one address.
func (r *road) try(req *http.Request, at int, body []byte) (*http.Response, *lost) {
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	attempt := req.Clone(httptrace.WithClientTrace(req.Context(), trace))
	attempt.URL.Scheme, attempt.URL.Host = r.addresses[at].Scheme, r.addresses[at].Host
	attempt.Host = ""
	attempt.Body = nil
	if body != nil {
		attempt.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		attempt.Body, _ = attempt.GetBody()
		attempt.ContentLength = int64(len(body))
	}
	resp, err := r.transport.RoundTrip(attempt)
	if err != nil {
		return nil, &lost{sent: sent.Load(), err: err}
	}
	return resp, nil
}

// target finds the configured address that a redirect leads to. Only its scheme and
// host count: the path and what is sent stay what they were.
func (r *road) target(resp *http.Response) (string, int) {
	location, err := resp.Location()
	if err != nil {
		return "", -1
	}
	for i, a := range r.addresses {
		if location.Scheme == a.Scheme && strings.EqualFold(withPort(location), withPort(a)) {
			return location.Host, i
		}
	}
	return location.Host, -1
}

func withPort(u *url.URL) string {
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func redirects(status int) bool { return status >= 300 && status < 400 }

func takeBody(req *http.Request) ([]byte, error) {
	if req.Body == nil {
		return nil, nil
	}
	defer func() { _ = req.Body.Close() }()
	return io.ReadAll(req.Body)
}

// cause strips what the http package puts around an error: the method and the URL,
// which the message has already in its own words.
func cause(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if l, ok := errors.AsType[*lost](err); ok {
		err = l.err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return err
}
