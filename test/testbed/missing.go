// Package testbed holds what tests share that need more than Go: real servers,
// programs, and the rights to run them.
package testbed

import (
	"os"
	"testing"
)

// Required reports whether what is missing is a failure: continuous integration is
// to have all of it.
func Required() bool { return os.Getenv("CI") == "true" }

// Missing ends a test that cannot be run for want of something: as a failure where
// it is required, otherwise skipped.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if Required() {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}
