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
// Every write names the version that this store saw last, by its own write or by
// Load (check-and-set), and Vault refuses it when there has been another write
// since. So of several owners that have loaded one generation of a record, exactly
// one gets its next write in. The rotation protocol needs no more than that:
//
//   - A refresh token is spent only after its intent was saved. Two owners that
//     hold the same refresh token have loaded the same write of the record, so one
//     intent is stored and the other Save is [token.ErrFenced], before anything
//     was spent.
//   - Load alone writes nothing and fences nobody. What was loaded is worth nothing
//     to an owner whose intent is refused, however late it wakes up.
//   - The commit of an answer follows the same owner's intent. When it is fenced,
//     somebody has loaded that intent and taken the attempt for ambiguous.
//
// After ErrFenced the store writes nothing more for that name until the next Load
// takes the record over. A store that never loaded a name takes it over with its
// first Save. Version 1 of KV has no check-and-set, so it is refused.
//
// Vault has no conditional deletion, and an unconditional one could take a record
// that another owner has just written. So a deleted record stays as an entry that
// says so. Nothing here deletes the metadata of a record, for with it goes the
// count of versions that the fence stands on; nor should a person, while a tokend
// runs.
//
// # Lost answers
//
// A timeout, a broken connection or a 5xx leaves open whether the write landed, or
// will. The store reads the entry, and where nothing has changed it writes again:
// of two writes that name one version only one can land. An id of a write of its
// own whose outcome was open is known again, and is no other owner's.
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
// Most of Vault's storages take 1 MiB an entry. A record above half of that is cut
// into pieces, which are written first under names never used before; the write of
// the record's own entry, which lists them, is the commit. Pieces that were there
// before are destroyed after it.
//
// # What a policy has to grant
//
//	path "secret/data/tokend/state/*"     { capabilities = ["create", "read", "update"] }
//	path "secret/metadata/tokend/state/*" { capabilities = ["create", "update", "list", "delete"] }
package vault
