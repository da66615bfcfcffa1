package file

import (
	"testing"
	"testing/synctest"
	"time"
)

// taking takes once, in a bubble of fake time.
func taking(q *queue) <-chan int {
	took := make(chan int, 1)
	go func() { took <- len(q.take(nil)) }()
	return took
}

// wantTaken wants n ops to be taken so long after an instant.
func wantTaken(t *testing.T, took <-chan int, n int, began time.Time, after time.Duration) {
	t.Helper()
	if got := <-took; got != n || time.Since(began) != after {
		t.Errorf("%d were taken after %v; want %d after %v", got, time.Since(began), n, after)
	}
}

func expectedOp() *op { return &op{came: true, done: make(chan error, 1)} }

func TestTransactionWaitsForTheSavesThatAreOnTheirWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.expect(3)
		took := taking(q)
		q.push(expectedOp())
		time.Sleep(linger / 2)
		q.push(expectedOp())
		synctest.Wait()
		select {
		case n := <-took:
			t.Fatalf("%d were taken, with one on its way", n)
		default:
		}
		q.push(expectedOp())
		wantTaken(t, took, 3, time.Now(), 0)
	})
}

func TestTransactionDoesNotWaitLongForASaveThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.expect(2)
		took := taking(q)
		began := time.Now()
		q.push(expectedOp())
		wantTaken(t, took, 1, began, linger)
		q.push(expectedOp()) // the late one
		wantTaken(t, taking(q), 1, time.Now(), 0)
	})
}

func TestTransactionWaitsNoMoreForASaveThatIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.expect(1)
		took := taking(q)
		began := time.Now()
		q.push(&op{done: make(chan error, 1)})
		synctest.Wait()
		q.expect(-1)
		wantTaken(t, took, 1, began, 0)
	})
}

func TestClosingQueueWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.expect(1)
		q.push(&op{done: make(chan error, 1)})
		q.close()
		wantTaken(t, taking(q), 1, time.Now(), 0)
	})
}
