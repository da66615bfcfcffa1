package tracing

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

const (
	queueSize = 4096 // spans, of about a kilobyte each
	batchSize = 512
	batchWait = 2 * time.Second // from a batch's first span until it is sent
	tryFor    = 20 * time.Second
	tryFirst  = 500 * time.Millisecond
	tryLast   = 5 * time.Second
	flushFor  = 3 * time.Second
)

// queue holds spans until they are sent. It is a SpanProcessor of OpenTelemetry's
// SDK: that one's own neither counts what it drops nor leaves the log to us.
type queue struct {
	export func(context.Context, []sdk.ReadOnlySpan) error
	logger *slog.Logger
	spans  chan sdk.ReadOnlySpan
	full   atomic.Uint64 // dropped, since the collector was too slow; all told

	// Of run's goroutine alone.
	lost uint64 // given up since the last line about it
	told uint64 // of full
	away bool   // the last batch was given up
}

func newQueue(export func(context.Context, []sdk.ReadOnlySpan) error, logger *slog.Logger) *queue {
	return &queue{export: export, logger: logger, spans: make(chan sdk.ReadOnlySpan, queueSize)}
}

// OnStart implements sdk.SpanProcessor.
func (*queue) OnStart(context.Context, sdk.ReadWriteSpan) {}

// OnEnd implements sdk.SpanProcessor. It never waits.
func (q *queue) OnEnd(s sdk.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.full.Add(1)
	}
}

// Shutdown and ForceFlush implement sdk.SpanProcessor; run does their work.
func (*queue) Shutdown(context.Context) error   { return nil }
func (*queue) ForceFlush(context.Context) error { return nil }

// run sends batches until ctx ends, and then what is left for flushFor at most. A
// request that is in flight by then has that long too: whoever gives one up does
// not know whether the collector took it, and would send it twice.
func (q *queue) run(ctx context.Context) {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushFor, cancel) })()
	for {
		batch := q.collect(ctx)
		if ctx.Err() == nil {
			if unsent := q.send(ctx, requests, batch); !unsent {
				continue
			}
		}
		q.flush(requests, batch)
		q.tell(requests)
		return
	}
}

// collect waits for a batch to be full, or for batchWait after its first span.
func (q *queue) collect(ctx context.Context) (batch []sdk.ReadOnlySpan) {
	var late <-chan time.Time
	for len(batch) < batchSize {
		select {
		case s := <-q.spans:
			if batch == nil {
				late = time.After(batchWait)
			}
			batch = append(batch, s)
		case <-late:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// send tries for a while; a collector that restarts costs nothing. It reports
// whether ctx ended before the batch was sent or given up.
func (q *queue) send(ctx, requests context.Context, batch []sdk.ReadOnlySpan) (unsent bool) {
	began, wait := time.Now(), tryFirst
	for {
		err := q.export(requests, batch)
		switch {
		case err == nil:
			q.sent(ctx)
			return false
		case ctx.Err() != nil:
			return true
		}
		if final(err) || q.away || time.Since(began)+wait > tryFor {
			q.drop(ctx, batch, err)
			return false
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return true
		}
		wait = min(2*wait, tryLast)
	}
}

// flush sends what is left, once.
func (q *queue) flush(ctx context.Context, batch []sdk.ReadOnlySpan) {
	for ; ; batch = batch[:0] {
		for more := true; more && len(batch) < batchSize; {
			select {
			case s := <-q.spans:
				batch = append(batch, s)
			default:
				more = false
			}
		}
		if len(batch) == 0 {
			return
		}
		if err := q.export(ctx, batch); err != nil {
			q.drop(ctx, batch, err)
			if ctx.Err() != nil || !final(err) {
				q.lost += uint64(len(q.spans))
				return
			}
		}
	}
}

// drop gives a batch up, and says so once.
func (q *queue) drop(ctx context.Context, batch []sdk.ReadOnlySpan, err error) {
	lost := uint64(len(batch))
	if p, ok := errors.AsType[partial](err); ok {
		lost = min(lost, uint64(p))
	}
	q.lost += lost
	if q.away {
		return
	}
	q.away = true
	q.logger.WarnContext(ctx, "the collector takes no traces; they are dropped until it does", "event", "traces_refused", "error", err)
}

// sent ends a time in which the collector took nothing.
func (q *queue) sent(ctx context.Context) {
	q.away = false
	q.tell(ctx)
}

// tell says how many spans were dropped since it last did.
func (q *queue) tell(ctx context.Context) {
	full := q.full.Load()
	lost := q.lost + full - q.told
	q.lost, q.told = 0, full
	if lost > 0 {
		q.logger.InfoContext(ctx, "traces were dropped", "event", "traces_lost", "spans", lost)
	}
}
