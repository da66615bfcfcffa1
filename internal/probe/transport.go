package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// TLS are the files of a probe's TLS setting; the zero value trusts the system's
// authorities and presents no certificate.
type TLS struct {
	CAFile   string // PEM; trusted instead of the system's authorities
	CertFile string // PEM; with KeyFile, what is presented to the resource
	KeyFile  string
}

// NewTransport makes a transport for all probes with one TLS setting, so that
// they share connections: at most 16 a host, which are closed after 30 s without
// a request. TLS is 1.2 or later. The environment's proxies are not used, for a
// proxy would see what is meant for the resource.
func NewTransport(o TLS) (*http.Transport, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the CA file of a probe: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("the CA file %s of a probe holds no PEM certificate", o.CAFile)
		}
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return nil, errors.New("a probe's client certificate needs both cert_file and key_file")
	}
	if o.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate of a probe: %w", err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxConnsPerHost:        16,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}, nil
}
