// Command bare is what an engineer would write to fill places in Kubernetes or
// Vault from nothing: the server's own client library, and so many writes at a
// time. It fills all places when it starts and again for each line that it reads,
// and prints a line when it is done, until its input ends.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	vaultapi "github.com/hashicorp/vault/api"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// write fills place i for the nth time, counted from 1.
type write func(ctx context.Context, i, n int) error

type flags struct {
	kubeconfig, namespace       string
	vaultAddress, caFile, mount string
	places, inFlight            int
}

func main() {
	var f flags
	flag.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; without it, Vault is written to")
	flag.StringVar(&f.namespace, "namespace", "", "namespace of the Secrets")
	flag.StringVar(&f.vaultAddress, "vault-address", "", "address of Vault; its token is read from VAULT_TOKEN")
	flag.StringVar(&f.caFile, "ca-file", "", "CA certificate of Vault")
	flag.StringVar(&f.mount, "mount", "", "mount of a KV version 2")
	flag.IntVar(&f.places, "places", 1000, "how many places there are")
	flag.IntVar(&f.inFlight, "in-flight", 32, "how many writes there are at a time")
	flag.Parse()
	if err := run(context.Background(), f, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags, in io.Reader, out io.Writer) error {
	to, err := f.client()
	if err != nil {
		return err
	}
	for n, lines := 1, bufio.NewScanner(in); n == 1 || lines.Scan(); n++ {
		if err := f.fill(ctx, to, n); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "filled"); err != nil {
			return err
		}
	}
	return nil
}

// fill writes every place for the nth time, and returns the first failure.
func (f *flags) fill(ctx context.Context, to write, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range f.inFlight {
		workers.Go(func() {
			for i := range next {
				if err := to(ctx, i, n); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range f.places {
		next <- i
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}

func (f *flags) client() (write, error) {
	if f.kubeconfig != "" {
		return f.secrets()
	}
	return f.vaultKV()
}

func (f *flags) secrets() (write, error) {
	config, err := clientcmd.BuildConfigFromFlags("", f.kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.UserAgent = -1, "bare"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, i, n int) error {
		now := time.Now().Format(time.RFC3339Nano)
		secret := applycorev1.Secret(placeName(i), f.namespace).WithType("Opaque").
			WithLabels(map[string]string{"app.kubernetes.io/managed-by": "bare"}).
			WithAnnotations(map[string]string{"bare/token": placeName(i), "bare/generation": fmt.Sprint(n), "bare/issued-at": now, "bare/expires-at": now}).
			WithData(map[string][]byte{"token": []byte(f.value(i, n))})
		_, err := client.CoreV1().Secrets(f.namespace).Apply(ctx, secret, metav1.ApplyOptions{FieldManager: "bare", Force: true})
		return err
	}, nil
}

func (f *flags) vaultKV() (write, error) {
	config := vaultapi.DefaultConfig()
	config.Address, config.MaxRetries = f.vaultAddress, 0
	if err := config.ConfigureTLS(&vaultapi.TLSConfig{CACert: f.caFile}); err != nil {
		return nil, err
	}
	client, err := vaultapi.NewClient(config) // takes its token from the environment
	if err != nil {
		return nil, err
	}
	kv := client.KVv2(f.mount)
	return func(ctx context.Context, i, n int) error {
		_, err := kv.Put(ctx, placeName(i), map[string]any{"token": f.value(i, n)}, vaultapi.WithCheckAndSet(n-1))
		return err
	}, nil
}

func placeName(i int) string { return fmt.Sprintf("place-%04d", i) }

// value is an access token of 64 bytes, another one each time.
func (f *flags) value(i, n int) string {
	text := fmt.Sprint(n*f.places + i)
	return strings.Repeat("0", 64-len(text)) + text
}
