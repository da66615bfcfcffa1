package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// harden keeps secrets out of core dumps: none is written, and nobody but root
// may attach to the process or read its memory (prctl(2), PR_SET_DUMPABLE).
func harden() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("limit core dumps to nothing: %w", err)
	}
	return nil
}
