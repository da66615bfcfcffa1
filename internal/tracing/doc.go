// Package tracing makes OpenTelemetry spans of what happens, and sends them to a
// collector over OTLP/HTTP.
//
// A [Tracer] is an observer: it hears of an attempt when that is over, and builds
// its spans from the instants that the event tells. So nothing on a token's road
// waits for tracing, carries a span, or knows that there are any.
//
// The parts of one attempt are told by events that come in any order, and the
// write of a sink may be over before its attempt is. They find each other without
// being kept: the ids of a trace and of its root are a hash of which token it was
// and when its answer was read.
package tracing
