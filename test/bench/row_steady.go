package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

// steady runs a system on the disk through a cold start and two lifetimes. In the
// first it is asked for its plans; in the second it is left alone, and its CPU
// time and memory are read from outside.
func (b *bench) steady(ctx context.Context, sys system) error {
	st := b.whole(sys)
	return b.on(ctx, st, b.dir, func() error {
		if err := b.coldOn(ctx, st, "cold"); err != nil {
			return err
		}
		_, whole := st.book.Held()
		quiet := whole.Add(b.lifetime)
		heard, err := b.listen(ctx, st, quiet)
		if err != nil {
			return err
		}
		if err := b.leaveAlone(ctx, st, "cpu", true); err != nil {
			return err
		}
		events, err := st.admin.Events(ctx, 0)
		if err != nil {
			return err
		}
		b.settleLateness(st, events, heard)
		b.settlePeak(st, events)
		b.settleDelivery(ctx, st, events, whole)
		return nil
	})
}

func (b *bench) steadyOnTmpfs(ctx context.Context, sys system) error {
	if b.tmpfs == "" || b.quick {
		return nil
	}
	st := b.whole(sys)
	return b.on(ctx, st, b.tmpfs, func() error {
		if err := b.coldOn(ctx, st, "cold on tmpfs"); err != nil {
			return err
		}
		return b.leaveAlone(ctx, st, "cpu on tmpfs", false)
	})
}

// listen asks tokend for its plans, a dozen times up to the given instant. The
// plain loop cannot be asked.
func (b *bench) listen(ctx context.Context, st *stage, up time.Time) ([]plans, error) {
	var heard []plans
	if t, ok := st.system.(tokend); ok && b.wants("lateness") {
		for time.Until(up) > b.lifetime/12 {
			p, err := t.plans(ctx, st)
			if err != nil {
				return nil, err
			}
			heard = append(heard, p)
			if err := st.until(ctx, time.Unix(0, p.asked).Add(b.lifetime/12)); err != nil {
				return nil, err
			}
		}
	}
	return heard, st.until(ctx, up)
}

// leaveAlone watches one lifetime from outside: CPU time per refresh, and memory.
func (b *bench) leaveAlone(ctx context.Context, st *stage, row string, memory bool) error {
	s, err := begin(st)
	if err != nil {
		return err
	}
	resident, err := b.resident(ctx, st, s.from.Add(b.lifetime))
	if err != nil {
		return err
	}
	if err := s.end(); err != nil {
		return err
	}
	if memory {
		m, err := st.child.Memory()
		if err != nil {
			return err
		}
		b.put("resident", st.system.name(), cell{value: resident, text: m.String()})
	}
	return b.settle(ctx, s, row)
}

// span is a time over which a system's CPU time is read.
type span struct {
	stage    *stage
	from, to time.Time
	before   time.Duration // of CPU time
	took     time.Duration
}

func begin(st *stage) (*span, error) {
	before, err := st.child.CPU()
	return &span{stage: st, from: time.Now(), before: before}, err
}

func (s *span) end() error {
	after, err := s.stage.child.CPU()
	s.to, s.took = time.Now(), after-s.before
	return err
}

// settle puts down the CPU time for each refresh of a span.
func (b *bench) settle(ctx context.Context, s *span, row string) error {
	events, err := s.stage.admin.Events(ctx, 0)
	if err != nil {
		return err
	}
	refreshes := issuedBetween(events, s.from, s.to)
	each := float64(s.took.Microseconds()) / float64(max(refreshes, 1))
	b.put(row, s.stage.system.name(), cell{value: each, text: fmt.Sprintf("%.0f µs", each), bad: refreshes == 0})
	b.progress("%s: %.0f µs CPU for each of %d refreshes (%s)", s.stage.system.name(), each, refreshes, row)
	return nil
}

// resident is the median of the process's resident bytes up to an instant.
func (b *bench) resident(ctx context.Context, st *stage, to time.Time) (float64, error) {
	var samples []float64
	for time.Now().Before(to) {
		m, err := st.child.Memory()
		if err != nil {
			return 0, err
		}
		samples = append(samples, float64(m.Total))
		if err := st.until(ctx, earlier(to, time.Now().Add(b.lifetime/60))); err != nil {
			return 0, err
		}
	}
	return figures.Median(samples), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// empty measures a process of one token, and settles what each further one costs.
func (b *bench) empty(ctx context.Context, sys system) error {
	full, ok := b.cells["resident"][sys.name()]
	if !ok || b.tokens == 1 {
		return nil
	}
	st := &stage{system: sys, tokens: 1, lifetime: b.lifetime}
	return b.on(ctx, st, b.dir, func() error {
		if _, err := st.cold(ctx); err != nil {
			return err
		}
		one, err := b.resident(ctx, st, time.Now().Add(b.lifetime/12))
		if err != nil {
			return err
		}
		each := (full.value - one) / float64(b.tokens-1) / 1024
		b.put("memory", sys.name(), cell{value: each, text: fmt.Sprintf("%.1f KiB", each)})
		b.note("memory of %s: %.1f MiB with one token, %.1f MiB with %d (%s).", sys.name(), one/(1<<20), full.value/(1<<20), b.tokens, full.text)
		return nil
	})
}

func (b *bench) settleLateness(st *stage, events []tokenserver.Event, heard []plans) {
	late := statedLateness(events, heard)
	if st.system.name() == "loop" {
		late = reckonedLateness(events, 0.75)
	}
	if len(late) == 0 {
		return
	}
	half, most := figures.Percentile(late, 50), figures.Percentile(late, 99)
	b.put("lateness", st.system.name(), cell{value: most.Seconds(), text: fmt.Sprintf("%s (median %s)", short(most), short(half))})
	b.note("lateness of %s: over %d requests; the earliest %s, the latest %s.", st.system.name(), len(late), short(late[0]), short(late[len(late)-1]))
}

// settlePeak compares the busiest second of the first refreshes, and of all that
// follow them, with all tokens spread evenly over the time that the first took.
func (b *bench) settlePeak(st *stage, events []tokenserver.Event) {
	w := waveOf(events)
	first, later := w.evenly(w.first, st.tokens), w.evenly(w.later, st.tokens)
	b.put("peak", st.system.name(), cell{
		value: max(first, later),
		text:  fmt.Sprintf("%d/s: %.2f× over %.1f s; later %d/s: %.2f×", w.first, first, w.window.Seconds(), w.later, later),
		bad:   w.window < b.lifetime/4, // an even spread over a short moment is a spike all the same
	})
}

func (b *bench) settleDelivery(ctx context.Context, st *stage, events []tokenserver.Event, whole time.Time) {
	took := deliveries(events, st.book.Placed(), whole, time.Now())
	if len(took) == 0 {
		return
	}
	half, most := figures.Percentile(took, 50), figures.Percentile(took, 99)
	b.put("delivery", st.system.name(), cell{value: half.Seconds(), text: fmt.Sprintf("median %s, p99 %s", short(half), short(most))})
	b.chart("From the answer to the file, %s, %d refreshes after the cold start, seen from outside:\n\n```\n%s```", st.system.name(), len(took), figures.Histogram(took))
	if t, ok := st.system.(tokend); ok {
		if status, err := t.status(ctx, st); err == nil {
			d := status.Delivery
			b.note("answer to file as tokend itself measured it, cold start included: %d deliveries, p50 %.2f ms, p90 %.2f ms, p99 %.2f ms.", d.Count, d.P50, d.P90, d.P99)
		}
	}
}

// short spells a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d.Abs() >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d.Abs() >= 10*time.Millisecond:
		return fmt.Sprintf("%.0f ms", float64(d)/1e6)
	}
	return fmt.Sprintf("%.2f ms", float64(d)/1e6)
}
