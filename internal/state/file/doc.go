// Package file stores records in one bbolt database in a directory of its own.
//
// The directory holds:
//
//	tokend.lock               held by the one owner; its process id
//	tokend.db                 the records, 0600
//	tokend.db.new             a database in the making; never read
//	tokend.db.corrupt-<time>  a damaged database, kept as it was found
//
// # Durability
//
// One goroutine commits. While a transaction is on its way to the disk, other
// Saves queue up, and the next transaction takes all of them: many writers
// share one pair of syncs, and a lone writer never waits for company.
//
// # Damage
//
// bbolt maps its file and trusts what it finds there; a damaged page can make
// it panic, or fault, in goroutines where nothing can catch it. So the file is
// read and checked in full before bbolt sees it. What does not pass is moved
// aside, and what can be proven current is copied into a new database. Proven
// means: reached from the newest root over pages that pass. A page that merely
// looks like records may be an older version of them, and an older version may
// hold a refresh token that has been spent.
//
// A failed sync leaves the kernel's idea of the file and the disk's apart, and
// a second sync of the same file may succeed without having written anything.
// So after one, the records are copied to a new file, and that one is synced.
package file
