package file

import (
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

type kind uint8

const (
	opPut kind = iota
	opDelete
	opQuarantine // value is what was read; nothing is done when it has been replaced since
	opMend       // replace db, which a reader could not read
)

// op is one change on its way into a transaction.
type op struct {
	kind   kind
	name   string
	value  []byte
	reason error      // of a quarantine or mend
	db     *bbolt.DB  // of a mend
	moved  bool       // the quarantine has it; the committer's own
	done   chan error // has room for the one result
}

// queue collects what comes in while a transaction is under way.
type queue struct {
	mu     sync.Mutex
	filled *sync.Cond
	ops    []*op
	taken  time.Time     // when ops were taken last
	took   time.Duration // how long the last transaction took
	closed bool
}

// A transaction that follows another within busy waits for company, as long as
// the last one took: on a disk that syncs quickly each save would otherwise have a
// transaction of its own, which costs several times as much. Where nothing is
// synced, as in memory, waiting would cost more than it saves.
const (
	busy       = 5 * time.Millisecond
	linger     = 400 * time.Microsecond // at most
	worthwhile = 150 * time.Microsecond
)

func newQueue() *queue {
	q := &queue{}
	q.filled = sync.NewCond(&q.mu)
	return q
}

// push reports false when the queue is closed.
func (q *queue) push(o *op) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.ops = append(q.ops, o)
	if len(q.ops) == 1 {
		q.filled.Signal()
	}
	return true
}

// take waits for ops and returns all there are, in the order of their calls.
// It leaves spare, emptied, for the ones to come. It returns none when the
// queue is closed and drained.
func (q *queue) take(spare []*op) []*op {
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ops) == 0 && !q.closed {
		q.filled.Wait()
	}
	if pause := min(q.took, linger); pause >= worthwhile && time.Since(q.taken) < busy && !q.closed {
		q.mu.Unlock()
		time.Sleep(pause)
		q.mu.Lock()
	}
	q.taken = time.Now()
	ops := q.ops
	q.ops = spare[:0]
	return ops
}

// spent notes how long the transaction took whose ops were taken last.
func (q *queue) spent(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.took = d
}

// close reports whether it was this call that closed the queue.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.closed
	q.closed = true
	q.filled.Signal()
	return !was
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

// inKeyOrder sorts for locality: neighbours share a page. Ops of one name keep
// the order of their calls.
func inKeyOrder(ops []*op) {
	slices.SortStableFunc(ops, func(a, b *op) int { return strings.Compare(a.name, b.name) })
}

// superseded reports whether ops[i] is undone by the next one, so that it need
// not be written at all. ops are in key order.
func superseded(ops []*op, i int) bool {
	return i+1 < len(ops) && ops[i].name == ops[i+1].name && ops[i].kind <= opDelete && ops[i+1].kind <= opDelete
}
