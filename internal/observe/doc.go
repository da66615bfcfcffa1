// Package observe tells people and machines what the refresher does: one log
// line per thing that happened, the time from a server's answer to its sinks,
// metrics for Prometheus, and the health that load balancers and supervisors ask
// for.
//
// Everything here only listens. Nothing here holds a secret, because events and
// statuses hold none. A [Relay] stands between the refresher and those who listen:
// what it is told within some milliseconds goes on together, off the tokens' road.
//
// # Metrics
//
// What happens is counted as events arrive, per provider in a registry of
// Prometheus' client library and per token in a tally, as long as tokens are few; what is the case is read
// from the refresher's status at a scrape. Series of tokens and sinks go out line
// by line: ten thousand tokens are some 140,000 series, and to make, hash, check
// and sort an object for each would cost a hundred times as much as to print it.
package observe
