package places

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed"
	"github.com/tokend-project/tokend/test/testbed/kubernetes"
	"github.com/tokend-project/tokend/test/testbed/tokend"
	"github.com/tokend-project/tokend/test/testbed/vault"
)

// beds are what the tests of this package share. Tests that kill a server start
// one of their own.
var beds struct {
	cluster *kubernetes.Cluster
	vault   *vault.Server
	tokend  string // the binary
}

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait more than they work.
	if err := flag.Set("test.parallel", strconv.Itoa(max(6, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tokend-places-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute) // for a first build
	defer cancel()
	var building sync.WaitGroup
	var errs [3]error
	building.Go(func() { beds.cluster, errs[0] = kubernetes.Start(ctx) })
	building.Go(func() { beds.vault, errs[1] = vault.Start(ctx, vault.Options{}) })
	building.Go(func() { beds.tokend, errs[2] = tokend.Build("../..", dir) })
	building.Wait()
	if beds.cluster != nil {
		defer beds.cluster.Stop()
	}
	if beds.vault != nil {
		defer beds.vault.Stop()
	}
	for i, err := range errs {
		if err == nil {
			continue
		}
		fmt.Fprintln(os.Stderr, "these tests need what cannot be had:", err)
		if testbed.Required() || i == 2 {
			return 1
		}
	}
	return m.Run()
}

func ownVault(t *testing.T) *vault.Server {
	t.Helper()
	return vault.Own(t, vault.Options{})
}
