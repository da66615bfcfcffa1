// Package fenced is a [state.Store] on a place that several owners share and that
// writes an entry only if it still is of the version that the writer names:
// optimistic concurrency, as resourceVersion in Kubernetes and check-and-set in
// Vault are. A [Place] makes the requests; what they mean for a record is decided
// here.
//
// # The fence
//
// Every write names the version that this store saw last, by its own write or by
// Load, and the place refuses it when there has been another write since. So of
// several owners that have loaded one generation of a record, exactly one gets its
// next write in. The rotation protocol needs no more than that:
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
// A refused write is not yet a fence: it may be the repetition of one whose answer
// was lost, or what changed the version may have been no write of a record. So the
// store reads the entry and compares: when the place says that it still is the
// write that was seen, the next goes on top of it; so it does on a write of this
// store's own whose outcome was open, known by its id and its digest. Anything
// else, nothing too, is another owner.
//
// # Lost answers
//
// A timeout, a broken connection or a 5xx leaves open whether the write landed,
// or will. The store reads the entry as above, and where nothing has changed it
// writes again: of two writes that name one version only one can land. When the
// entry cannot be read either, Save returns the error, and the write is remembered
// for the next one.
//
// # Size
//
// A record of more than half a MiB is cut into pieces, which are written first
// under names never used before; the write of the record's own entry, which lists
// them, is the commit. Pieces that were there before are deleted after it, since
// nobody else can commit any more what refers to them.
package fenced
