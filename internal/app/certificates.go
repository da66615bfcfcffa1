package app

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"time"

	"github.com/tokend-project/tokend/internal/config"
)

// ends are the instants at which the certificates of a tls block end; zero where
// there is none.
type ends struct{ client, ca time.Time }

// endsOf reads the files of a tls block. They have been used already by then:
// what cannot be read of them here is no fault.
func endsOf(t config.TLS) ends {
	var e ends
	if t.CertFile != "" {
		e.client = firstEnd(t.CertFile, 1) // those after the first are its issuers
	}
	if t.CAFile != "" {
		e.ca = firstEnd(t.CAFile, -1)
	}
	return e
}

// firstEnd is the earliest end among the first most certificates of a PEM file.
func firstEnd(path string, most int) (end time.Time) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return time.Time{}
	}
	for most != 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		if end.IsZero() || cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
		most--
	}
	return end
}
