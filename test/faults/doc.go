// Package faults holds what tokend does about the defects of its peers and the
// faults of the world that no single package can show: a configuration that is
// edited while it is being read, a disk that fills up under a running daemon, ten
// thousand tokens that are due at once, and every way in which a secret might be
// seen.
//
// The daemon runs within the test, with its real configuration, state, sinks and
// socket; its authorization server is the test's. docs/faults.md lists every
// defect and fault with the test that stands for it, and a test here keeps that
// list true.
package faults
