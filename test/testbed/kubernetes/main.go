package kubernetes

import (
	"testing"
	"time"

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

// need skips a test where there is no cluster, which Main has explained.
func (c *Cluster) need(t testing.TB) {
	t.Helper()
	if c == nil {
		t.Skip("there is no Kubernetes API server")
	}
}
