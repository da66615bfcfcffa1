package endpoint

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"time"
)

// dialer opens connections to the one address of its endpoint. There is no
// proxy: whoever runs tokend behind one says so in the configuration, not in an
// environment variable that a parent process left behind.
type dialer struct {
	net     net.Dialer
	address string
	tls     *tls.Config // nil for plain http
}

func newDialer(u *url.URL, t TLS) (*dialer, error) {
	d := &dialer{
		// An idle connection lives shorter than any keep-alive probe takes.
		net:     net.Dialer{KeepAlive: -1},
		address: address(u),
	}
	if u.Scheme != "https" {
		return d, nil
	}
	d.tls = &tls.Config{
		ServerName:         u.Hostname(),
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
	return d, d.load(t)
}

func (d *dialer) load(t TLS) error {
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("read ca_file: %w", err)
		}
		d.tls.RootCAs = x509.NewCertPool()
		if !d.tls.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read ca_file: %s holds no PEM certificate", t.CAFile)
		}
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		return errors.New("cert_file and key_file go together")
	}
	if t.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return fmt.Errorf("read client certificate: %w", err)
		}
		d.tls.Certificates = []tls.Certificate{certificate}
	}
	return nil
}

// dial returns a connection over which nothing was sent yet but the TLS
// handshake. Its error comes with a stable word for the step that failed.
func (d *dialer) dial(ctx context.Context) (*conn, string, error) {
	raw, err := d.net.DialContext(ctx, "tcp", d.address)
	if err != nil {
		if dns := (*net.DNSError)(nil); errors.As(err, &dns) {
			return nil, "resolve", err
		}
		return nil, "dial", err
	}
	c := &conn{counted: &countingConn{Conn: raw}}
	c.Conn = c.counted
	if d.tls != nil {
		secured := tls.Client(c.counted, d.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, "tls", err
		}
		c.Conn = secured
	}
	c.limit = &io.LimitedReader{R: c.Conn}
	c.reader = bufio.NewReader(c.limit)
	return c, "", nil
}

// conn is one connection, owned by one exchange at a time or by the pool.
type conn struct {
	net.Conn // plain or TLS
	counted  *countingConn
	limit    *io.LimitedReader // bounds what one answer may send, head included
	reader   *bufio.Reader
	idle     time.Time // since when it lies in the pool
}

// countingConn counts the bytes that the kernel took. Beneath TLS it counts
// records, which is as good: before the first of them is out, nothing of the
// request is.
type countingConn struct {
	net.Conn
	written int64 // only for the goroutine that owns the connection
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written += int64(n)
	return n, err
}
