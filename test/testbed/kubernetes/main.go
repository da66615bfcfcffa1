package kubernetes

import (
	"context"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed"
	"github.com/tokend-project/tokend/test/testbed/internal/bed"
)

// startWithin leaves room for a first build on a slow machine.
const startWithin = 25 * time.Minute

// Main runs the tests of a package with one cluster, stops it, and returns the
// exit code. Where no cluster can be had it says why: with CI=true that is a
// failure, and without it *c stays nil and the tests that ask for it are skipped.
func Main(m *testing.M, c **Cluster) int {
	return bed.Main(m, c, "Kubernetes API server", startWithin, Start)
}

// Own starts a cluster for one test, which may kill or pause its API server.
func Own(t testing.TB) *Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	c, err := Start(ctx)
	if err != nil {
		testbed.Missing(t, "there is no Kubernetes API server: %v", err)
	}
	t.Cleanup(c.Stop)
	return c
}

// need skips a test where there is no cluster, which Main has explained.
func (c *Cluster) need(t testing.TB) {
	t.Helper()
	if c == nil {
		testbed.Missing(t, "there is no Kubernetes API server")
	}
}
