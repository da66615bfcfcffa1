package endpoint

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

type certificate struct {
	pair      tls.Certificate
	file, key string // PEM
	pool      *x509.CertPool
}

func selfSigned(t *testing.T) certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	c := certificate{pair: pair, file: filepath.Join(t.TempDir(), "cert.pem"), pool: x509.NewCertPool()}
	c.key = c.file + ".key"
	c.pool.AppendCertsFromPEM(certPEM)
	for name, content := range map[string][]byte{c.file: certPEM, c.key: keyPEM} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// tlsServer answers well, over TLS.
func tlsServer(t *testing.T, config *tls.Config, protocols chan<- string) *rawServer {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, l, func(s *rawServer, c net.Conn, r *bufio.Reader) {
		for {
			if _, err := s.read(r); err != nil {
				return
			}
			if protocols != nil {
				protocols <- c.(*tls.Conn).ConnectionState().NegotiatedProtocol
			}
			io.WriteString(c, ok(goodBody))
		}
	})
}

// HTTP/2 streams that a server refuses or drops are retried by clients; over
// HTTP/1.1 alone there is nothing to retry.
func TestHTTP2IsNotOffered(t *testing.T) {
	own := selfSigned(t)
	protocols := make(chan string, 2)
	s := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{own.pair}, NextProtos: []string{"h2", "http/1.1"}}, protocols)
	c := newClient(t, Config{TokenEndpoint: "https://" + s.Addr().String() + "/token", TLS: TLS{CAFile: own.file}})
	for range 2 {
		if _, err := c.Send(t.Context(), refresh()); err != nil {
			t.Fatal(err)
		}
		if p := <-protocols; p != "http/1.1" {
			t.Errorf("negotiated %q", p)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections: TLS connections are not reused", n)
	}
}

func TestTLSFailuresAreNotSent(t *testing.T) {
	own, stranger := selfSigned(t), selfSigned(t)
	for _, tc := range []struct {
		name   string
		server *tls.Config
		client TLS
	}{
		{"unknown authority", &tls.Config{}, TLS{}},
		{"another authority", &tls.Config{}, TLS{CAFile: stranger.file}},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, TLS{CAFile: own.file}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.server.Certificates = []tls.Certificate{own.pair}
			s := tlsServer(t, tc.server, nil)
			c := newClient(t, Config{TokenEndpoint: "https://" + s.Addr().String() + "/token", TLS: tc.client})
			_, err := c.Send(t.Context(), refresh())
			failure(t, err, token.NotSent, "tls")
			if n := len(s.seen()); n != 0 {
				t.Errorf("the server read %d requests", n)
			}
		})
	}
}

func TestClientCertificate(t *testing.T) {
	own, client := selfSigned(t), selfSigned(t)
	config := &tls.Config{Certificates: []tls.Certificate{own.pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: client.pool}
	s := tlsServer(t, config, nil)
	endpoint := "https://" + s.Addr().String() + "/token"
	with := newClient(t, Config{TokenEndpoint: endpoint, TLS: TLS{CAFile: own.file, CertFile: client.file, KeyFile: client.key}})
	if _, err := with.Send(t.Context(), refresh()); err != nil {
		t.Error(err)
	}
	without := newClient(t, Config{TokenEndpoint: endpoint, TLS: TLS{CAFile: own.file}})
	if _, err := without.Send(t.Context(), refresh()); err == nil {
		t.Error("a server that wants a certificate answered without one")
	}
}

func TestBrokenTLSFilesAreRefusedAtOnce(t *testing.T) {
	own := selfSigned(t)
	for name, files := range map[string]TLS{
		"ca_file":   {CAFile: own.key},
		"read ca":   {CAFile: own.file + ".missing"},
		"together":  {CertFile: own.file},
		"read clie": {CertFile: own.key, KeyFile: own.key},
	} {
		if _, err := New(Config{TokenEndpoint: "https://as.example/token", TLS: files}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestProxyFromTheEnvironmentIsNotUsed(t *testing.T) {
	proxy := answers(t, ok(goodBody))
	for _, name := range []string{"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.url(""))
	}
	c := newClient(t, Config{TokenEndpoint: "http://as.invalid/token", AllowInsecureHTTP: true})
	_, err := c.Send(t.Context(), refresh())
	failure(t, err, token.NotSent, "resolve")
	if n := proxy.conns.Load(); n != 0 {
		t.Errorf("the proxy was called %d times", n)
	}
}
