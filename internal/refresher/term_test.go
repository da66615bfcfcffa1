package refresher

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTermsThatBeginWithinAMomentShareADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := &terms{parent: t.Context()}
		first := ts.begin(64 * time.Second)
		time.Sleep(time.Second)
		second := ts.begin(64 * time.Second)
		if first != second {
			t.Error("a second later, a minute has a deadline of its own")
		}
		time.Sleep(time.Millisecond)
		third, short, long := ts.begin(64*time.Second), ts.begin(time.Second), ts.begin(time.Hour)
		for i, other := range []*term{third, short, long} {
			if other == first {
				t.Errorf("term %d would end more than a 64th early or late", i)
			}
		}

		first.end()
		if err := second.ctx.Err(); err != nil {
			t.Errorf("one of two users has ended the term: %v", err)
		}
		second.end()
		if err := second.ctx.Err(); !errors.Is(err, context.Canceled) {
			t.Errorf("after its last user the term holds a timer still: %v", err)
		}
		<-short.ctx.Done()
		if took := time.Until(third.until); !errors.Is(short.ctx.Err(), context.DeadlineExceeded) || took != 63*time.Second {
			t.Errorf("a second was over with %v left of 64 s: %v", took, short.ctx.Err())
		}
		for _, other := range []*term{third, short, long} {
			other.end()
		}
	})
}

// Whoever begins after the last user of a term has ended must not get one that is
// over.
func TestTermIsNotHandedOutAfterItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := &terms{parent: t.Context()}
		ts.begin(time.Minute).end()
		again := ts.begin(time.Minute)
		defer again.end()
		if err := again.ctx.Err(); err != nil {
			t.Error(err)
		}
	})
}
