package vault

import (
	"context"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed"
	"github.com/tokend-project/tokend/test/testbed/internal/bed"
)

// startWithin leaves room for a first build on a slow machine.
const startWithin = 15 * time.Minute

// Main runs the tests of a package with one server, stops it, and returns the
// exit code. Where no server can be had it says why: with CI=true that is a
// failure, and without it *s stays nil and the tests that ask for it are skipped.
func Main(m *testing.M, s **Server) int {
	return bed.Main(m, s, "Vault", startWithin, func(ctx context.Context) (*Server, error) { return Start(ctx, Options{}) })
}

// Own starts a server for one test, which may kill and seal it.
func Own(t testing.TB, o Options) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	s, err := Start(ctx, o)
	if err != nil {
		testbed.Missing(t, "there is no Vault: %v", err)
	}
	t.Cleanup(s.Stop)
	return s
}

// need skips a test where there is no server, which Main has explained.
func (s *Server) need(t testing.TB) {
	t.Helper()
	if s == nil {
		testbed.Missing(t, "there is no Vault")
	}
}
