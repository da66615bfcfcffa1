package kubernetes

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"

	"k8s.io/client-go/rest"

	"github.com/tokend-project/tokend/test/testbed/internal/authority"
)

const (
	loopback = "127.0.0.1"
	issuer   = "https://kubernetes.default.svc"
	auditLog = "audit.log"
)

// auditPolicy logs who asks for which object, at the beginning and at the end of
// each request, and nothing that the API server asks of itself.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [ResponseStarted]
rules:
  - level: None
    users: ["system:apiserver"]
  - level: None
    nonResourceURLs: ["*"]
  - level: Metadata
`

// etcdFlags has etcd listen on unix sockets in its working directory, whose
// names are short enough there.
func etcdFlags(dir string) []string {
	socket := func(name string) string { return "unix://" + filepath.Join(dir, name) }
	return []string{
		"--name=default",
		"--data-dir=" + filepath.Join(dir, "etcd"),
		"--listen-client-urls=" + socket("c"),
		"--advertise-client-urls=" + socket("c"),
		"--listen-peer-urls=" + socket("p"),
		"--initial-advertise-peer-urls=http://localhost:1",
		"--initial-cluster=default=http://localhost:1",
		"--unsafe-no-fsync",
		"--log-level=warn",
	}
}

// apiserverFlags leaves admission at its defaults: Pod Security by the labels of
// namespaces, ServiceAccount, ValidatingAdmissionPolicy and the rest. Paths are
// relative to its working directory.
func apiserverFlags(dir string, port int) []string {
	return []string{
		"--etcd-servers=unix://" + filepath.Join(dir, "c"),
		"--bind-address=" + loopback,
		"--advertise-address=" + loopback,
		"--secure-port=" + strconv.Itoa(port),
		"--endpoint-reconciler-type=none",
		"--cert-dir=.",
		"--tls-cert-file=server.crt",
		"--tls-private-key-file=server.key",
		"--client-ca-file=ca.crt",
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + issuer,
		"--service-account-jwks-uri=" + issuer + "/openid/v1/jwks",
		"--api-audiences=" + issuer,
		"--service-account-signing-key-file=accounts.key",
		"--service-account-key-file=accounts.key",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--audit-policy-file=audit.yaml",
		"--audit-log-path=" + auditLog,
		"--audit-log-mode=blocking", // a request is in the log before it is served
		"--audit-log-maxsize=10000", // megabytes, so that it is never rotated
		"--profiling=false",
	}
}

// writeIdentities writes keys, certificates and the audit policy, and keeps the
// authority for clients.
func (c *Cluster) writeIdentities() (err error) {
	if c.authority, err = authority.New("tokend-testbed"); err != nil {
		return err
	}
	server, err := serverPair(c.authority)
	if err != nil {
		return err
	}
	if err := server.Write(filepath.Join(c.dir, "server.crt"), filepath.Join(c.dir, "server.key")); err != nil {
		return err
	}
	if c.client, err = clientPair(c.authority, "admin", "system:masters"); err != nil {
		return err
	}
	_, accounts, err := authority.Key()
	if err != nil {
		return err
	}
	return writeFiles(c.dir, map[string][]byte{
		"ca.crt": c.authority.PEM, "accounts.key": accounts, "audit.yaml": []byte(auditPolicy),
	})
}

// config is how to reach the API server, as nobody yet. Clients are not limited:
// tests that are about limits set their own.
func (c *Cluster) config() *rest.Config {
	return &rest.Config{
		Host:            "https://" + net.JoinHostPort(loopback, strconv.Itoa(c.port)),
		TLSClientConfig: rest.TLSClientConfig{CAData: c.authority.PEM},
		QPS:             -1,
	}
}

// Admin returns a new config of a member of system:masters, whom nothing is
// forbidden. Its requests carry the user name "admin".
func (c *Cluster) Admin() *rest.Config {
	config := c.config()
	config.CertData, config.KeyData = c.client.Cert, c.client.Key
	return config
}

func answersOK(ctx context.Context, client *http.Client, address string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		panic(fmt.Sprintf("%s is no address: %v", address, err))
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
