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
// Every write names the resourceVersion that this store saw last, by its own
// write or by Load, and the API server refuses it when there has been another
// write since (optimistic concurrency, on a linearizable etcd). So of several
// owners that have loaded one generation of a record, exactly one gets its next
// write in. The rotation protocol needs no more than that:
//
//   - A refresh token is spent only after its intent was saved. Two owners that
//     hold the same refresh token have loaded the same write of the record, so
//     one intent is stored and the other Save is [token.ErrFenced], before
//     anything was spent.
//   - Load alone writes nothing and fences nobody. It need not: what was loaded
//     is worth nothing to an owner whose intent is refused. When the new owner
//     saves first, the old one is fenced, however late it wakes up. When the
//     old one saves first, the new one is: it loads again and then finds the
//     intent, or the generation that came of it, that the old owner left.
//   - The commit of an answer follows the same owner's intent. When it is fenced,
//     somebody has loaded that intent and taken the attempt for ambiguous.
//
// After ErrFenced the store writes nothing more for that name until the next
// Load takes the record over. A store that never loaded a name takes it over
// with its first Save.
//
// A refused write is not yet a fence: somebody may have put a label on the
// Secret, or the refused write may be the repetition of one whose answer was
// lost. So the store reads the Secret and compares: the same write id with the
// same data is no change; an id of a write of its own whose outcome was open
// is its own write, and the next goes on top of it. Anything else, a deleted
// Secret too, is another owner.
//
// # Lost answers
//
// A timeout, a broken connection or a 5xx leaves open whether the write landed,
// or will. The store reads the Secret as above, and where nothing has changed
// it writes again: of two writes that name one resourceVersion only one can land.
// When the Secret cannot be read either, Save returns the error, and the id is
// remembered for the next one.
//
// # Size
//
// The API server takes 1 MiB of data a Secret. A record above half of that is
// cut into pieces, which are written first under names never used before; the
// write of the record's own Secret, which lists them, is the commit. Pieces that
// were there before are deleted after it, since nobody else can commit any more
// what refers to them.
package kubernetes
