package file

import (
	"runtime"
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
	came   bool       // it was expected
	reason error      // of a quarantine or mend
	db     *bbolt.DB  // of a mend
	moved  bool       // the quarantine has it; the committer's own
	done   chan error // has room for the one result
}

// queue collects what comes in while a transaction is under way, and what is on
// its way when the next could begin.
type queue struct {
	mu       sync.Mutex
	filled   *sync.Cond
	ops      []*op
	expected int  // saves that are on their way
	late     bool // they have been waited for long enough
	closed   bool
}

// linger is how long a transaction waits for the saves that are on their way. One
// by one they would cost several times as much, and wait for each other.
const linger = time.Millisecond

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
	if o.came {
		q.expected--
	}
	if len(q.ops) == 1 || q.expected == 0 {
		q.filled.Signal()
	}
	return true
}

// expect changes how many saves are on their way.
func (q *queue) expect(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expected += n
	if q.expected == 0 {
		q.filled.Signal()
	}
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
	q.gather()
	ops := q.ops
	q.ops = spare[:0]
	return ops
}

// gather waits a moment for what is on its way, and lets those go first who are
// about to save something unexpected. It is called with the lock held.
func (q *queue) gather() {
	if q.expected > 0 && !q.closed {
		q.late = false
		timer := time.AfterFunc(linger, func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.late = true
			q.filled.Signal()
		})
		for q.expected > 0 && !q.late && !q.closed {
			q.filled.Wait()
		}
		timer.Stop()
	}
	for n := -1; n != len(q.ops); {
		n = len(q.ops)
		q.mu.Unlock()
		runtime.Gosched()
		q.mu.Lock()
	}
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
