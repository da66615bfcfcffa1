package vault

import (
	"crypto/x509/pkix"
	"path/filepath"

	"github.com/tokend-project/tokend/test/testbed/internal/authority"
)

// issue writes NAME.pem and NAME.key into the server's directory.
func (s *Server) issue(name, subject string) (certFile, keyFile string, err error) {
	pair, err := s.authority.Issue(authority.Template(pkix.Name{CommonName: subject}))
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(s.dir, name+".pem"), filepath.Join(s.dir, name+".key")
	return certFile, keyFile, pair.Write(certFile, keyFile)
}
