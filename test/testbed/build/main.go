// Command build builds the servers that tests run against, each unless it is in
// the user's cache already: so that no test's time limit has to cover it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/vault"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	for _, server := range []struct {
		name  string
		build func(ctx context.Context) (string, error)
	}{
		{"kube-apiserver", tool("kube-apiserver")}, {"etcd", tool("server")}, {"kustomize", tool("kustomize")},
		{"vault", vault.Binary},
	} {
		began := time.Now()
		if _, err := server.build(ctx); err != nil {
			return fmt.Errorf("%s: %w", server.name, err)
		}
		if _, err := fmt.Fprintf(out, "%s: ready after %v\n", server.name, time.Since(began).Round(100*time.Millisecond)); err != nil {
			return fmt.Errorf("telling of %s: %w", server.name, err)
		}
	}
	return nil
}

func tool(name string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return kubernetes.Tool(ctx, name) }
}
