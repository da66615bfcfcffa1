package file

import (
	"syscall"

	"go.etcd.io/bbolt"
)

// releaseEvery is after how many records the pages of the map are given back:
// about as many stay resident, so 2 MiB, of a file that may be a hundred times
// as large.
const releaseEvery = 512

// touched counts n records that were read or written in tx, and now and then
// gives the mapped pages back to the kernel, which keeps them in its cache. A
// record is wanted again when its token is refreshed next; until then it need
// not count as memory of this process.
//
// Nothing of the map may be moved meanwhile: tx is open, and is either a reader
// or has not yet changed anything.
func (s *Store) touched(tx *bbolt.Tx, n int) {
	if s.touches.Add(int64(n)) < releaseEvery {
		return
	}
	s.touches.Store(0)
	// The data stay where they are, so that a failure costs memory alone.
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), syscall.MADV_DONTNEED)
}
