// Package tokenserver is the authorization server that the benchmark measures
// against. It speaks just enough HTTP/1.1 to answer token requests and spends as
// little as it can on each, since it shares the machine's cores with what is
// measured. It fails on demand (see [Mode]) and keeps a [Ledger] of every request
// it saw, so that what a client did can be judged afterwards.
//
// Clients are client-0, client-1, … (RFC 6749 section 2.3.1 credentials in the
// Basic header or in the body), all with [ClientSecret]. An access token carries its own
// serial and expiry in clear, so that whoever reads it can tell how long it lives.
package tokenserver
