// Package vault keeps a token in an entry of Vault's KV secrets engine, of version
// 1 or 2.
//
// On version 2 every write names the version that it replaces (check-and-set).
// The sink remembers the version that it made, so that a refresh costs one request
// and still never writes over something that it has not seen. When somebody else
// wrote meanwhile, the entry is read, and replaced only then. A write whose answer
// got lost is looked for before it is repeated, so that it is never done twice.
// Version 1 has no such condition; there the last writer wins.
//
// The entry as a whole is the sink's: keys that a person adds to it go with the
// next write. Custom metadata, which belongs to the path and not to a version, is
// shared: keys that are not configured are kept. Setting it is a second request
// per refresh, because Vault's API has no single one, so it is only done where it
// is configured.
//
// # What a policy has to grant
//
//	path "secret/data/apps/shop"     { capabilities = ["create", "update", "read"] }
//	path "secret/metadata/apps/shop" { capabilities = ["read"] }
//
// With custom metadata or max_versions the second line takes "create" and "update"
// too; without it, drift is looked for in the data itself. To remove a token takes
// "delete" on the first path. On version 1 the only path is the entry's own.
package vault
