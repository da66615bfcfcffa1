// Package refresher keeps tokens fresh. It owns the schedule, the exactly-once
// spending of refresh tokens and the delivery to sinks, and reaches everything
// else through the one-method interfaces it declares.
//
// # One token's road
//
// Every token is a record in one heap, ordered by the instant at which something
// is due for it. One loop with one timer sleeps until the first of them, in naps
// of at most 30 seconds against the wall clock, so that a suspended machine or a
// stepped clock is noticed. A token that is due goes into its provider's lane,
// which decides when a request may leave: by concurrency, rate, a server's
// Retry-After and the failures of the others. A worker of the lane then walks
// the road: make the intent durable, send one request, commit the answer,
// publish it to the sinks, plan the next instant.
//
// Attempts go in waves where that costs nobody anything: answers that were asked
// for together are made durable together, by a store that was told to expect them,
// and a sink that can stages its content meanwhile. See [wave] and [lane.climb].
//
// # What is never done
//
// A refresh token is not sent before its intent is durable, and an access token
// is not published before its record is. A working access token is not dropped
// because a refresh failed, and its expiry is never extended. A sink's failure
// neither causes a token request nor delays another sink.
//
// # Concurrency
//
// One mutex guards all entries, the heap and the lanes. It is never held while
// something slow is done: a worker copies what it needs, acts, and looks again
// after locking, because the configuration may have changed meanwhile.
package refresher
