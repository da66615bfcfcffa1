// Package observe tells people and machines what the refresher does: one log
// line per thing that happened, the time from a server's answer to its sinks,
// and the health that load balancers and supervisors ask for.
//
// Everything here only listens. Nothing here holds a secret, because events and
// statuses hold none.
package observe
