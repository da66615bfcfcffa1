// Package ha shares tokens among replicas through Leases of Kubernetes.
//
// # Shards
//
// The tokens are spread over a fixed number of shards by a rendezvous hash of
// their names (see [ShardOf]), and each shard has a Lease: <name> where there
// is one shard, <name>-0 to <name>-<n-1> otherwise. Whoever holds the Lease
// keeps the shard's tokens. With one shard that is plain active and standby.
//
// Besides, each replica has a Lease <name>-member-<identity> of its own, by
// which the others know that it is there. All of them have the labels
// app.kubernetes.io/managed-by=tokend and tokend/ha=<name>, and each replica
// watches those. That of a replica that died is deleted by the others.
//
// # The fair share
//
// A replica takes Leases that are free as long as it has fewer than its share,
// and gives up those that it has above it. The share follows from what all of
// them see, so that they agree without talking: the shards divided by the
// replicas, rounded down, and one more for as many as it takes, first for those
// that hold most already, so that nothing moves without need, then by identity.
//
// A Lease is given up in an order that leaves no gap: [Options.Release] ends
// what is in flight for the shard, while the Lease is still renewed, and then
// the Lease is freed at once instead of running out. The same happens with all
// of them when Run's context ends; the replica's own Lease goes first, so that
// the others know what will be theirs. A Lease that stays free although somebody
// should take it goes to whoever comes first.
//
// # What holding means
//
// A Lease that was not renewed for its duration may be taken. Nobody compares
// clocks across machines for that: everybody measures with its own how long it
// has not seen the Lease change. So the holder, which counts from before its
// renewal was sent, is always the first to know that its time has run out; it
// stops at four fifths of the duration, which leaves time for what is just being
// written. [Group.Holds] computes that when it is asked, by the monotonic clock
// and the wall clock, whichever has gone further: a process that was stopped or
// suspended holds nothing when it wakes, whatever it does first.
//
// A Lease lowers contention; it is no fence. What must not happen twice is
// fenced by the state's store.
//
// # Outages
//
// While the API server is away the holders go on until their time is over, and
// then stand by. When it is back, each takes up its own Leases, which nobody
// else could take, and gives the others the time of a Lease to do the same: time
// in which renewals could not be seen does not count against anybody.
//
// # Requests
//
// Each held Lease and the replica's own are renewed once every RenewEvery; a
// failed renewal is repeated after about a fifth of that. Everything else comes
// by one watch.
package ha
