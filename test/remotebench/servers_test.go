package remotebench

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	vaultapi "github.com/hashicorp/vault/api"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"

	kubebed "github.com/tokend-project/tokend/test/testbed/kubernetes"
	vaultbed "github.com/tokend-project/tokend/test/testbed/vault"
)

// value is an access token as the bare client writes it.
func value(i, n int) string { return fmt.Sprintf("%0*d", content, n*places+i) }

func secrets(b *testing.B) destination {
	b.Helper()
	cluster, err := kubebed.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(cluster.Stop)
	kubeconfig := cluster.Kubeconfig(b, cluster.Admin())
	config := cluster.Admin()
	config.QPS, config.UserAgent = -1, "bare"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	return destination{name: "kubernetes_secret", fresh: func(b *testing.B) room {
		namespace := cluster.Namespace(b)
		return room{
			blocks: fmt.Sprintf("kubernetes \"bench\" {\n  kubeconfig = %q\n  qps = 100000\n  burst = 100000\n}", kubeconfig),
			sink: fmt.Sprintf("sink \"kubernetes_secret\" {\n      namespace = %q\n      name = token.key\n"+
				"      data = { token = \"{{ .AccessToken }}\" }\n      propagation = \"0s\"\n    }", namespace),
			write: func(ctx context.Context, i, n int) error {
				secret := applycorev1.Secret(placeName(i), namespace).WithType("Opaque").
					WithLabels(map[string]string{"app.kubernetes.io/managed-by": "bare"}).
					WithAnnotations(map[string]string{"bare/token": placeName(i), "bare/generation": fmt.Sprint(n),
						"bare/issued-at": time.Now().Format(time.RFC3339Nano), "bare/expires-at": time.Now().Format(time.RFC3339Nano)}).
					WithData(map[string][]byte{"token": []byte(value(i, n))})
				_, err := client.CoreV1().Secrets(namespace).Apply(ctx, secret, metav1.ApplyOptions{FieldManager: "bare", Force: true})
				return err
			},
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
	config := vaultapi.DefaultConfig()
	config.Address, config.MaxRetries = server.Address, 0
	if err := config.ConfigureTLS(&vaultapi.TLSConfig{CACert: server.CAFile}); err != nil {
		b.Fatal(err)
	}
	client, err := vaultapi.NewClient(config)
	if err != nil {
		b.Fatal(err)
	}
	client.SetToken(server.RootToken)
	return destination{name: "vault_kv", fresh: func(b *testing.B) room {
		mount := server.Mount(b, 2)
		return room{
			blocks: fmt.Sprintf("vault \"bench\" {\n  address = %q\n  tls {\n    ca_file = %q\n  }\n  auth \"token\" {\n    token = %q\n  }\n}",
				server.Address, server.CAFile, server.RootToken),
			sink: fmt.Sprintf("sink \"vault_kv\" {\n      mount = %q\n      path = token.key\n"+
				"      data = { token = \"{{ .AccessToken }}\" }\n      check_every = \"720h\"\n    }", mount),
			write: func(ctx context.Context, i, n int) error {
				_, err := client.KVv2(mount).Put(ctx, placeName(i), map[string]any{"token": value(i, n)}, vaultapi.WithCheckAndSet(n-1))
				return err
			},
			requests: func(b *testing.B) (all, writes int) {
				for _, method := range []string{"GET", "PUT", "POST", "DELETE", "LIST", "PATCH"} {
					all += server.Count(b, method+" /v1/"+mount+"/")
				}
				return all, server.Count(b, "PUT /v1/"+mount+"/data/") + server.Count(b, "POST /v1/"+mount+"/data/")
			},
		}
	}}
}
