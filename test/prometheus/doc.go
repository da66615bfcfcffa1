// Package prometheus holds the rule file and the dashboard to Prometheus itself:
// its own unit tests of rules, its parser of queries, and a server that scrapes
// a running tokend. It is a module of its own, so that none of it reaches
// tokend's.
package prometheus
