// Package state is the contract of the stores that keep one [token.Record] a
// token across restarts, and the encoding of a record that all of them share.
//
// A store is the proof behind the rule "check before spend, persist before
// publish": a refresh token is presented only after its intent has been saved,
// and an access token goes to its sinks only after its generation has been. A
// Save that returned nil must therefore survive whatever happens next: a kill,
// a power cut, a second daemon.
//
// The record's encoding is [Codec]. It finds damage by itself, with a key or
// without, so that no store ever hands out a record that is not the one it was
// given: a damaged one is put into quarantine, bytes and all, and its token
// logs in anew.
package state
