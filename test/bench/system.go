package main

import (
	"fmt"
	"os"
	"strconv"
)

// system is what is measured: it says how it is started on a stage.
type system interface {
	name() string
	// command prepares what the system reads, and returns the argv that starts it.
	command(st *stage) ([]string, error)
}

// loop is the plain loop: this very binary.
type loop struct{}

func (loop) name() string { return "loop" }

func (loop) command(st *stage) ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the plain loop: %w", err)
	}
	return []string{self, "loop", "-url", st.tokenURL(), "-sinks", st.sinks(), "-n", strconv.Itoa(st.tokens),
		"-in-flight", strconv.Itoa(st.settings.inFlight), "-timeout", st.settings.timeout.String()}, nil
}
