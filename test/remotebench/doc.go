// Package remotebench measures tokend's sinks in Kubernetes and Vault side by side
// with the bare client doing the same writes, on real servers on this machine:
//
//	go test -run '^$' -bench . -benchtime 1x -timeout 30m ./test/remotebench
//
// Each benchmark fills a thousand places from nothing (cold), and then has all of
// them written anew, since all tokens are due at the same full minute (steady). The
// bare client (in bare) is a program too: it starts, and makes the same writes with
// as many at a time. In the same time tokend also asks for a thousand tokens and
// keeps its records. When it was done with what is read from its log. The figures
// are ratios of one run, since a machine's own speed is in both.
package remotebench
