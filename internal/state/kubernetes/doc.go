// Package kubernetes stores records as Secrets of one namespace, one Secret a
// record.
//
// # What is where
//
//	<prefix>.<name>                  the record of the token <name>
//	<prefix>.x.<escaped name>        the same, where the name is no DNS label
//	<record>.part-<write>-<n>        a piece of a record that is too large for one Secret
//	<record>.quarantine-<digest>     a damaged record, kept as it was found; immutable
//
// A record's Secret has the label app.kubernetes.io/managed-by=tokend and
// tokend/state=<prefix>; pieces and quarantine have tokend/state-part and
// tokend/state-quarantine instead of the latter, so that one selector finds
// records alone. The annotation tokend/token has the clear name, tokend/write
// the id of the Save that wrote it. The data are the bytes of [state.Codec], so
// that with a key neither etcd nor whoever may read Secrets has the tokens.
// Labels, annotations, owners and finalizers that others put there stay.
//
// # The fence
//
// The state is a [fenced.Store], whose documentation says how several owners are
// kept apart. The version that a write names is the resourceVersion, which the API
// server compares on a linearizable etcd. It changes with a label as well, so that
// a refused write is a fence only if the data or the write's id are others, or if
// the Secret is gone; not if the namespace is.
//
// # Size
//
// The API server takes 1 MiB of data a Secret, and etcd counts annotations too; what
// is above half of that comes in pieces.
package kubernetes
