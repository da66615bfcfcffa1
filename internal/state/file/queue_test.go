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
		began := time.Now()
		if n := <-took; n != 3 || time.Since(began) != 0 {
			t.Errorf("%d were taken after %v", n, time.Since(began))
		}
	})
}

func TestTransactionDoesNotWaitLongForASaveThatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.expect(2)
		took := taking(q)
		began := time.Now()
		q.push(expectedOp())
		if n := <-took; n != 1 || time.Since(began) != linger {
			t.Errorf("%d were taken after %v", n, time.Since(began))
		}
		q.push(expectedOp())
		began = time.Now()
		if n := <-taking(q); n != 1 || time.Since(began) != 0 {
			t.Errorf("the late one: %d were taken after %v", n, time.Since(began))
		}
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
		if n := <-took; n != 1 || time.Since(began) != 0 {
			t.Errorf("%d were taken after %v", n, time.Since(began))
		}
	})
}

func TestClosingQueueWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		q.expect(1)
		q.push(&op{done: make(chan error, 1)})
		q.close()
		began := time.Now()
		if n := <-taking(q); n != 1 || time.Since(began) != 0 {
			t.Errorf("%d were taken after %v", n, time.Since(began))
		}
	})
}
