package kubernetes

import (
	"crypto/x509/pkix"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tokend-project/tokend/test/testbed/internal/authority"
)

// serverPair is the API server's.
func serverPair(a *authority.Authority) (authority.Pair, error) {
	template := authority.Template(pkix.Name{CommonName: "kube-apiserver"})
	template.DNSNames = append(template.DNSNames, "kubernetes.default.svc")
	return a.Issue(template)
}

// clientPair makes its bearer a user who is in the groups.
func clientPair(a *authority.Authority, user string, groups ...string) (authority.Pair, error) {
	return a.Issue(authority.Template(pkix.Name{CommonName: user, Organization: groups})) //nolint:misspell // it is crypto/x509's name
}

func writeFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
