package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/config"
	"github.com/tokend-project/tokend/internal/token"
)

// writeKeyPair writes a self-signed certificate and its key, twice, and the
// certificate as a CA's.
func writeKeyPair(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"ca": {Type: "CERTIFICATE", Bytes: cert}, "cert": {Type: "CERTIFICATE", Bytes: cert}, "key": {Type: "PRIVATE KEY", Bytes: secret},
	} {
		for _, n := range []string{"", "2"} {
			if err := os.WriteFile(filepath.Join(dir, name+n+".pem"), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestProviderKeepsItsClientUntilItChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKeyPair(t, dir)
	printer := newPrinter([]byte("salt"))
	build := func(p *config.Provider, running *provider) *provider {
		t.Helper()
		built, err := newProvider(p, printer, map[string]*provider{p.Name: running})
		if err != nil {
			t.Fatal(err)
		}
		return built
	}
	first := build(whole(t, dir).Provider, nil)
	if build(whole(t, dir).Provider, first) != first {
		t.Error("an unchanged provider loses its client, and with it its connections")
	}
	for name, keep := range map[string]func(*config.Provider){
		"client_secret": func(p *config.Provider) { p.ClientSecret = token.NewSecret("rotated") },
		"schedule":      func(p *config.Provider) { p.Schedule.Lead++ },
		"rate":          func(p *config.Provider) { p.Limits.Rate++ },
		"grace":         func(p *config.Provider) { p.RefreshTokens.Grace++ },
	} {
		p := whole(t, dir).Provider
		keep(p)
		if build(p, first) != first {
			t.Errorf("a changed %s costs the client", name)
		}
	}
	moved := whole(t, dir).Provider
	moved.TokenEndpoint += "2"
	if other := build(moved, first); other == first || other.client == first.client {
		t.Error("a changed token_endpoint is asked by the old client")
	}
	if copied := build(whole(t, dir).Provider, nil); copied.client == first.client || copied.print != first.print {
		t.Error("a new provider shares a client, or has another fingerprint")
	}
}

// Certificates are renewed in place, under the same name.
func TestRenewedCertificateMakesANewClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKeyPair(t, dir)
	printer := newPrinter([]byte("salt"))
	first, err := newProvider(whole(t, dir).Provider, printer, nil)
	if err != nil {
		t.Fatal(err)
	}
	running := map[string]*provider{"rator": first}
	writeKeyPair(t, dir)
	second, err := newProvider(whole(t, dir).Provider, printer, running)
	if err != nil {
		t.Fatal(err)
	}
	if second.client == first.client {
		t.Error("the old certificate goes on being used")
	}
	key, err := os.ReadFile(filepath.Join(dir, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"half a key": string(key[:len(key)/2]), "empty": "", "another's": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := newProvider(whole(t, dir).Provider, printer, running)
		if err == nil || !strings.Contains(err.Error(), `provider "rator"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "key.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err := newProvider(whole(t, dir).Provider, printer, running); err == nil || !strings.Contains(err.Error(), "reading a tls file") {
		t.Errorf("missing: %v", err)
	}
}
