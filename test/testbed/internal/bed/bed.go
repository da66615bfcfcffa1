// Package bed runs the tests of a package with a server that all of them share.
package bed

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed"
)

// Server is what a bed has.
type Server interface{ Stop() }

// Main starts a server, runs the tests with *at set to it, stops it, and returns
// the exit code. Where none can be had it says why: with CI=true that is a failure,
// and without it *at stays as it is, for tests that skip then.
func Main[S Server](m *testing.M, at *S, what string, within time.Duration, start func(context.Context) (S, error)) int {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	s, err := start(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "there is no %s to test with: %v\n", what, err)
		if testbed.Required() {
			return 1
		}
		return m.Run()
	}
	defer s.Stop()
	*at = s
	return m.Run()
}
