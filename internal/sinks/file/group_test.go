package file

import (
	"errors"
	"reflect"
	"testing"
)

// A rename that happened while a sync was under way is not covered by it: its
// caller needs one that starts afterwards, and shares that with all others who
// came meanwhile.
func TestGroupServesWithARunThatStartedAfterTheCall(t *testing.T) {
	var g group
	failed := errors.New("the run failed")
	err := g.do(func() error {
		late, leads := g.join()
		if !leads {
			t.Error("who came during a run did not get one of its own")
		}
		if later, leads := g.join(); later != late || leads {
			t.Error("two who came during a run do not share the next")
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("the run's error is %v", err)
	}
}

func TestWaitingIsRead(t *testing.T) {
	if n := waiting(); n < 0 || n >= 1<<50 {
		t.Errorf("waiting() = %d; /proc/meminfo was not understood", n)
	}
}

// Ten thousand sinks are alive at once.
func TestSinkIsSmall(t *testing.T) {
	if size := reflect.TypeFor[Sink]().Size(); size > 160 {
		t.Errorf("a Sink takes %d bytes", size)
	}
}
