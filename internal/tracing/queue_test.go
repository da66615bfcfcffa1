package tracing

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// logbook is a log that is read while it is written.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// receiver is what a queue exports to.
type receiver struct {
	answer func(ctx context.Context, n int) error // nil: yes

	mu    sync.Mutex
	sizes []int
}

func (r *receiver) export(ctx context.Context, batch []sdk.ReadOnlySpan) error {
	r.mu.Lock()
	r.sizes = append(r.sizes, len(batch))
	n := len(r.sizes)
	r.mu.Unlock()
	if r.answer != nil {
		return r.answer(ctx, n)
	}
	return nil
}

func (r *receiver) batches() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.sizes)
}

func (r *receiver) taken() (spans int) {
	for _, n := range r.batches() {
		spans += n
	}
	return spans
}

// tell ends so many spans.
func tell(q *queue, n int) {
	s := tracetest.SpanStub{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceFlags: trace.FlagsSampled})}.Snapshot()
	for range n {
		q.OnEnd(s)
	}
}

// running runs a queue in a bubble; stop ends it and tells how long that took.
func running(t *testing.T, r *receiver) (q *queue, log *logbook, stop func() time.Duration) {
	t.Helper()
	log = &logbook{}
	q = newQueue(r.export, slog.New(slog.NewTextHandler(log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); q.run(ctx) }()
	return q, log, func() time.Duration {
		began := time.Now()
		cancel()
		<-done
		return time.Since(began)
	}
}

// pass lets fake time go by, and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestBatchGoesWhenItIsFullOrTwoSecondsOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		q, log, stop := running(t, r)
		tell(q, 3)
		if pass(batchWait - time.Millisecond); len(r.batches()) != 0 {
			t.Error("a small batch did not wait for company")
		}
		if pass(time.Millisecond); r.taken() != 3 {
			t.Errorf("batches %v", r.batches())
		}
		tell(q, batchSize+1)
		if synctest.Wait(); r.taken() != 3+batchSize {
			t.Errorf("batches %v", r.batches())
		}
		stop()
		if r.taken() != 4+batchSize || log.String() != "" {
			t.Errorf("batches %v, log %s", r.batches(), log)
		}
	})
}

func TestCollectorThatRestartsCostsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(15 * time.Second)
		r := &receiver{answer: func(context.Context, int) error {
			if time.Now().Before(back) {
				return errors.New("connection refused")
			}
			return nil
		}}
		q, log, stop := running(t, r)
		tell(q, 3)
		pass(time.Minute)
		stop()
		if len(r.batches()) < 3 || len(r.batches()) > 9 || log.String() != "" {
			t.Errorf("%d tries, log %s", len(r.batches()), log)
		}
	})
}

func TestCollectorThatIsAwayIsOneLineAndWhatIsLostIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		away.Store(true)
		r := &receiver{answer: func(context.Context, int) error {
			if away.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}
		q, log, stop := running(t, r)
		for range 100 {
			tell(q, 3)
			pass(time.Minute)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "event=traces_refused") {
			t.Errorf("%d lines:\n%s", n, log)
		}
		if n := len(r.batches()); n > 120 {
			t.Errorf("a collector that is away was asked %d times", n)
		}
		away.Store(false)
		tell(q, 1)
		pass(time.Minute)
		if !strings.Contains(log.String(), "event=traces_lost spans=300\n") {
			t.Errorf("log:\n%s", log)
		}
		away.Store(true) // and once more, from the beginning
		tell(q, 1)
		pass(time.Minute)
		stop()
		if n := strings.Count(log.String(), "event=traces_refused"); n != 2 || !strings.Contains(log.String(), "event=traces_lost spans=1\n") {
			t.Errorf("log:\n%s", log)
		}
	})
}

// A refusal is no outage: the same batch would be refused again.
func TestRefusedBatchIsNotSentAgain(t *testing.T) {
	t.Parallel()
	for status, tries := range map[refusal]int{400: 1, 401: 1, 307: 1, 413: 1, 500: 1, 429: 2, 502: 2, 503: 2, 504: 2} {
		synctest.Test(t, func(t *testing.T) {
			r := &receiver{answer: func(_ context.Context, n int) error {
				if n == 1 {
					return status
				}
				return nil
			}}
			q, _, stop := running(t, r)
			tell(q, 1)
			pass(time.Minute)
			stop()
			if len(r.batches()) != tries {
				t.Errorf("HTTP %d: %d tries", status, len(r.batches()))
			}
		})
	}
}

// The road must not notice a collector that takes a request and says nothing.
func TestCollectorThatHangsHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		q, log, stop := running(t, r)
		tell(q, batchSize)
		synctest.Wait() // it hangs from here on
		began := time.Now()
		tell(q, queueSize+1000)
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %s", took)
		}
		if len(q.spans) != queueSize {
			t.Errorf("%d spans are kept", len(q.spans))
		}
		if took := stop(); took > flushFor {
			t.Errorf("the end took %s", took)
		}
		if want := "spans=5608"; !strings.Contains(log.String(), want) { // 512 + 4096 + 1000
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	})
}

// A request that is given up at the end may have been taken.
func TestRequestInFlightAtTheEndIsNotSentTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(context.Context, int) error { time.Sleep(time.Second); return nil }}
		q, log, stop := running(t, r)
		tell(q, batchSize)
		synctest.Wait() // it is in flight
		tell(q, 5)
		if took := stop(); took != 2*time.Second || len(r.batches()) != 2 || r.taken() != batchSize+5 || log.String() != "" {
			t.Errorf("%v were sent in %s", r.batches(), took)
		}
	})
}

func TestSpansThatWaitGoOutAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{}
		q, _, stop := running(t, r)
		tell(q, 3*batchSize+7)
		if took := stop(); took != 0 || r.taken() != 3*batchSize+7 {
			t.Errorf("%v were sent in %s", r.batches(), took)
		}
	})
}

func TestSpanThatIsNotSampledIsNotKept(t *testing.T) {
	t.Parallel()
	q := newQueue(nil, slog.New(slog.DiscardHandler))
	q.OnEnd(tracetest.SpanStub{}.Snapshot())
	if len(q.spans) != 0 {
		t.Error("it is kept")
	}
}
