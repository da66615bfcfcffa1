package remotebench

import (
	"fmt"
	"strings"
	"testing"

	kubebed "github.com/tokend-project/tokend/test/testbed/kubernetes"
	vaultbed "github.com/tokend-project/tokend/test/testbed/vault"
)

func secrets(b *testing.B) destination {
	b.Helper()
	cluster, err := kubebed.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Stop)
	kubeconfig := cluster.Kubeconfig(b, cluster.Admin())
	return destination{name: "kubernetes_secret", fresh: func(b *testing.B) room {
		namespace := cluster.Namespace(b)
		return room{
			bare:   []string{"-kubeconfig", kubeconfig, "-namespace", namespace},
			blocks: fmt.Sprintf("kubernetes \"bench\" {\n  kubeconfig = %q\n  qps = 100000\n  burst = 100000\n}", kubeconfig),
			sink: fmt.Sprintf("sink \"kubernetes_secret\" {\n      namespace = %q\n      name = token.key\n"+
				"      data = { token = \"{{ .AccessToken }}\" }\n      propagation = \"0s\"\n    }", namespace),
			requests: func(b *testing.B) (all, writes int) {
				seen, err := cluster.Requests(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				for _, r := range seen.In(namespace) {
					if r.Verb == "watch" || !strings.HasPrefix(r.UserAgent, "tokend") {
						continue
					}
					all++
					if r.Verb == "patch" {
						writes++
					}
				}
				return all, writes
			},
		}
	}}
}

func vaultKV(b *testing.B) destination {
	b.Helper()
	server, err := vaultbed.Start(b.Context(), vaultbed.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	return destination{name: "vault_kv", fresh: func(b *testing.B) room {
		mount := server.Mount(b, 2)
		return room{
			bare: []string{"-vault-address", server.Address, "-ca-file", server.CAFile, "-mount", mount},
			env:  []string{"VAULT_TOKEN=" + server.RootToken},
			blocks: fmt.Sprintf("vault \"bench\" {\n  address = %q\n  tls {\n    ca_file = %q\n  }\n  auth \"token\" {\n    token = %q\n  }\n}",
				server.Address, server.CAFile, server.RootToken),
			sink: fmt.Sprintf("sink \"vault_kv\" {\n      mount = %q\n      path = token.key\n"+
				"      data = { token = \"{{ .AccessToken }}\" }\n      check_every = \"720h\"\n    }", mount),
			requests: func(b *testing.B) (all, writes int) {
				for _, method := range []string{"GET", "PUT", "POST", "DELETE", "LIST", "PATCH"} {
					all += server.Count(b, method+" /v1/"+mount+"/")
				}
				return all, server.Count(b, "PUT /v1/"+mount+"/data/") + server.Count(b, "POST /v1/"+mount+"/data/")
			},
		}
	}}
}
