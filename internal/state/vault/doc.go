// Package vault stores records in a mount of Vault's KV secrets engine, version 2,
// one entry a record.
//
// # What is where
//
//	<path>/records/<name>                     the record of the token <name>
//	<path>/parts/<name>/<write>-<n>           a piece of a record that is too large for one entry
//	<path>/quarantine/<name>/<digest>         a damaged record, kept as it was found
//
// A record's entry has the field write, the id of the Save that wrote it, and one
// of: record, the bytes of [state.Codec] in base64; parts, the names of its pieces;
// deleted, a record that was deleted; quarantined, where a damaged one was put.
// With a key neither Vault's storage nor whoever may read the mount has the tokens.
//
// # The fence
//
// The state is a [fenced.Store], whose documentation says how several owners are
// kept apart. The version that a write names is Vault's, which counts the writes of
// an entry (check-and-set). Version 1 of KV has none, so it is refused.
//
// Vault has no conditional deletion, and an unconditional one could take a record
// that another owner has just written. So a deleted record stays as an entry that
// says so. Nothing here deletes the metadata of a record, for with it goes the
// count of versions that the fence stands on; nor should a person, while a tokend
// runs. That a person deletes the newest version is no write, and no fence.
//
// # Old versions
//
// A version that was replaced holds a refresh token that may still be good. Before
// the second write of a record the number of versions that are kept is set to one
// for it (max_versions), which is one more request in the record's life; Vault then
// destroys the old version with each write. Check-and-set needs no old versions.
//
// # Size
//
// Most of Vault's storages take 1 MiB an entry, and base64 makes four bytes of three;
// what is above half of that comes in pieces.
//
// # What a policy has to grant
//
//	path "secret/data/tokend/state/*"     { capabilities = ["create", "read", "update"] }
//	path "secret/metadata/tokend/state/*" { capabilities = ["create", "update", "list", "delete"] }
package vault
