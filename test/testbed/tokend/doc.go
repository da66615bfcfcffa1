// Package tokend runs the daemon for tests as a user runs it: the built binary, a
// config file, a control socket and a directory for what it writes. A daemon, and
// every other process that is started here, ends with its test.
package tokend
