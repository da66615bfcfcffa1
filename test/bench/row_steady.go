package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

// steady runs a system on the disk through a cold start and some lifetimes. In the
// first it is asked for its plans; then it is left alone, and its memory and CPU
// time are read from outside.
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
		if err := b.settleResident(ctx, st, quiet.Add(b.lifetime)); err != nil {
			return err
		}
		each, err := b.leaveAlone(ctx, []*stage{st}, "cpu", quiet.Add(b.lifetime))
		if err != nil {
			return err
		}
		b.settleCPU("cpu", sys.name(), each[0])
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

// steadyOnTmpfs runs all systems at the same time, each with a server of its own:
// one after the other, they would meet the machine in moods that differ by more
// than what is to be measured. The first lifetime passes while the next system
// starts.
func (b *bench) steadyOnTmpfs(ctx context.Context) error {
	if b.tmpfs == "" || b.quick {
		return nil
	}
	var stages []*stage
	for _, sys := range b.systems {
		stages = append(stages, b.whole(sys))
	}
	return b.together(ctx, stages, "cold on tmpfs", func() error {
		each, err := b.leaveAlone(ctx, stages, "cpu on tmpfs", time.Now().Add(b.lifetime))
		if err != nil {
			return err
		}
		for i, st := range stages {
			b.settleCPU("cpu on tmpfs", st.system.name(), each[i])
		}
		return nil
	})
}

// together starts the systems of stages on the tmpfs, one after the other, and
// calls do once all of them have filled their files. The starts count for row.
func (b *bench) together(ctx context.Context, stages []*stage, row string, do func() error) error {
	if len(stages) == 0 {
		return do()
	}
	return b.on(ctx, stages[0], b.tmpfs, func() error {
		if err := b.coldOn(ctx, stages[0], row); err != nil {
			return err
		}
		return b.together(ctx, stages[1:], row, do)
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

// leaveAlone watches lifetimes from outside, all stages at the same time, beginning
// at an instant, and returns each one's CPU time per refresh in µs, by lifetime.
func (b *bench) leaveAlone(ctx context.Context, stages []*stage, row string, from time.Time) ([][]float64, error) {
	each := make([][]float64, len(stages))
	for n := range b.lifetimes {
		spans, err := b.watch(ctx, stages, from.Add(time.Duration(n)*b.lifetime))
		if err != nil {
			return nil, err
		}
		for i, s := range spans {
			events, err := stages[i].admin.Events(ctx, 0)
			if err != nil {
				return nil, err
			}
			refreshes := issuedBetween(events, s.from, s.to)
			if refreshes == 0 {
				return nil, fmt.Errorf("%s refreshed nothing in a lifetime", stages[i].system.name())
			}
			each[i] = append(each[i], float64(s.took.Microseconds())/float64(refreshes))
			b.progress("%s: %.0f µs CPU for each of %d refreshes (%s)", stages[i].system.name(), each[i][n], refreshes, row)
		}
	}
	return each, nil
}

// settleCPU puts down the median of a system's CPU time per refresh.
func (b *bench) settleCPU(row, system string, each []float64) {
	half := figures.Median(each)
	b.put(row, system, cell{value: half, text: fmt.Sprintf("%.0f µs (%.0f–%.0f)", half, slices.Min(each), slices.Max(each))})
}

// span is a time over which a system's CPU time is read.
type span struct {
	from, to time.Time
	took     time.Duration // of CPU time
}

// watch reads the CPU time that each stage's system takes in a lifetime.
func (b *bench) watch(ctx context.Context, stages []*stage, from time.Time) ([]span, error) {
	if err := untilAll(ctx, stages, from); err != nil {
		return nil, err
	}
	spans := make([]span, len(stages))
	for i, st := range stages {
		before, err := st.child.CPU()
		if err != nil {
			return nil, err
		}
		spans[i] = span{from: time.Now(), took: -before}
	}
	if err := untilAll(ctx, stages, from.Add(b.lifetime)); err != nil {
		return nil, err
	}
	for i, st := range stages {
		after, err := st.child.CPU()
		if err != nil {
			return nil, err
		}
		spans[i].to = time.Now()
		spans[i].took += after
	}
	return spans, nil
}

func untilAll(ctx context.Context, stages []*stage, instant time.Time) error {
	for _, st := range stages {
		if err := st.until(ctx, instant); err != nil {
			return err
		}
	}
	return nil
}

// settleResident samples a process's memory up to an instant.
func (b *bench) settleResident(ctx context.Context, st *stage, to time.Time) error {
	resident, err := b.resident(ctx, st, to)
	if err != nil {
		return err
	}
	m, err := st.child.Memory()
	if err != nil {
		return err
	}
	b.put("resident", st.system.name(), cell{value: resident, text: m.String()})
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
