package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/process"
)

// bench is one run of the driver.
type bench struct {
	*settings
	*results
	systems []system
	began   time.Time
	load    float64  // of the machine before the run
	left    []string // folders on the disk of runs that are over
}

// phase is a run that measures some rows of one system after the other, or of all
// at once.
type phase struct {
	name string
	rows []string
	run  func(context.Context, system) error
	all  func(context.Context) error // nil where run isn't

	systems []system // nil: all
}

func drive(ctx context.Context, s *settings) (err error) {
	folder, err := os.MkdirTemp("", "tokend-bench-*")
	if err != nil {
		return fmt.Errorf("making a folder for the binary: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if s.ext4MiB > 0 {
		unmount, err := s.mountImage(ctx)
		if err != nil {
			return err
		}
		defer unmount()
	}
	b := &bench{settings: s, results: newResults(), began: time.Now(), load: process.Load()}
	defer func() { err = errors.Join(err, b.clear()) }()
	if err := b.prepare(ctx, folder); err != nil {
		return err
	}
	for _, p := range b.phases() {
		if err := b.measure(ctx, p); err != nil {
			return err
		}
	}
	b.report(os.Stdout)
	if b.ill {
		return errors.New("not every run came to its end; see the notes")
	}
	return nil
}

func (b *bench) prepare(ctx context.Context, folder string) error {
	for _, name := range b.settings.systems {
		if name == "loop" {
			b.systems = append(b.systems, loop{})
			continue
		}
		binary := b.tokend
		if binary == "" {
			b.progress("building tokend in %s", b.repo)
			var err error
			if binary, err = build(ctx, b.repo, folder); err != nil {
				return err
			}
		}
		b.systems = append(b.systems, tokend{binary})
	}
	return nil
}

// phases are in an order in which no system pays for what another has done to the
// disk: an ext4 without a journal looks at each inode that was freed within the last
// five minutes before it gives out another, so that what runs on tmpfs goes between.
func (b *bench) phases() []phase {
	steady := []string{"cpu", "memory", "lateness", "peak", "delivery"}
	phases := []phase{
		{name: "steady", rows: steady, run: b.steady, systems: b.systems[:1]},
		{name: "steady on tmpfs", rows: []string{"cpu"}, all: b.steadyOnTmpfs},
		{name: "observed", rows: []string{"observed"}, run: b.observed},
		{name: "steady", rows: steady, run: b.steady, systems: b.systems[1:]},
		{name: "memory of one token", rows: []string{"memory"}, run: b.empty},
		{name: "outages", rows: []string{"outage"}, run: b.outages},
		{name: "restart and reload", rows: []string{"restart", "reload"}, run: b.restart},
		{name: "rate limit", rows: []string{"limit"}, run: b.limit},
		{name: "latency", rows: []string{"latency"}, run: b.latency},
	}
	for i := range coldRuns { // in turns, so that both systems meet the machine in the same moods
		phases = append(phases, phase{name: fmt.Sprintf("cold start %d", i+1), rows: []string{"cold"}, run: b.coldStart})
	}
	return phases
}

// measure runs one phase for every system. The failure of a run is noted, and the
// others go on; only the end of ctx is an error.
func (b *bench) measure(ctx context.Context, p phase) error {
	if !slices.ContainsFunc(p.rows, func(r string) bool { return b.wants(r) }) {
		return nil
	}
	if p.all != nil {
		return b.attempt(ctx, p.name, "all", func() error { return p.all(ctx) })
	}
	systems := b.systems
	if p.systems != nil {
		systems = p.systems
	}
	for _, sys := range systems {
		if err := b.attempt(ctx, p.name, sys.name(), func() error { return p.run(ctx, sys) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) attempt(ctx context.Context, phase, who string, run func() error) error {
	b.progress("%s: %s", who, phase)
	err := run()
	if ctx.Err() != nil {
		return fmt.Errorf("%s of %s: %w", phase, who, context.Cause(ctx))
	}
	if err != nil {
		b.progress("%s: %s failed: %v", who, phase, err)
		b.note("**failed**: %s of %s: %v", phase, who, err)
		b.ill = true
	}
	return nil
}

func (b *bench) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1fs] %s\n", time.Since(b.began).Seconds(), fmt.Sprintf(format, args...))
}

// on opens a stage, hands it to do, and closes it whatever happens. What a run
// leaves on the disk is removed after the last one: an ext4 without a journal looks
// at every inode that was freed lately before it gives out another, so that a run
// would pay for the files of the one before.
func (b *bench) on(ctx context.Context, st *stage, base string, do func() error) (err error) {
	st.settings = b.settings
	defer func() {
		err = errors.Join(err, st.close(ctx))
		if base == b.tmpfs { // memory
			err = errors.Join(err, os.RemoveAll(st.folder))
			return
		}
		b.left = append(b.left, st.folder)
	}()
	if err := st.open(base); err != nil {
		return err
	}
	return do()
}

// clear removes what runs have left.
func (b *bench) clear() error {
	var errs []error
	for _, folder := range b.left {
		if folder != "" {
			errs = append(errs, os.RemoveAll(folder))
		}
	}
	b.left = nil
	return errors.Join(errs...)
}

// whole is a stage of all tokens with the usual lifetime.
func (b *bench) whole(sys system) *stage {
	return &stage{system: sys, tokens: b.tokens, lifetime: b.lifetime}
}

// coldOn starts the system and keeps the time as one more cold start.
func (b *bench) coldOn(ctx context.Context, st *stage, row string) error {
	took, err := st.cold(ctx)
	if err != nil {
		return err
	}
	b.progress("%s: every file valid after %.2f s", st.system.name(), took.Seconds())
	key := row + "/" + st.system.name()
	b.colds[key] = append(b.colds[key], took.Seconds())
	return nil
}
