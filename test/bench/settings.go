package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// settings is what the driver was asked for.
type settings struct {
	tokens   int
	lifetime time.Duration
	dir      string // on the disk
	tmpfs    string
	rows     []string
	systems  []string
	modes    []string // of outage
	inFlight int
	timeout  time.Duration
	grant    string // tokend's; the loop knows client_credentials alone
	repo     string
	tokend   string // a ready binary
	ext4MiB  int

	// lifetimes is over how many CPU time is read: the median of them is one that no
	// neighbour of a virtual machine has disturbed.
	lifetimes int
	quick     bool
}

// The rows that can be chosen. The first of those that share a run names it.
func allRows() []string {
	return []string{"cold", "latency", "cpu", "observed", "memory", "lateness", "peak", "delivery", "outage", "limit", "restart", "reload"}
}

func parseSettings(args []string) (*settings, error) {
	s := &settings{lifetimes: 3}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&s.tokens, "n", 10_000, "number of tokens")
	flags.DurationVar(&s.lifetime, "lifetime", time.Minute, "lifetime of access tokens, whole seconds, 8s at least")
	flags.StringVar(&s.dir, "dir", "/var/tmp", "where files and state go: a directory on a disk")
	flags.StringVar(&s.tmpfs, "tmpfs", "/dev/shm", "the same on a tmpfs; empty: leave its rows out")
	rows := flags.String("rows", strings.Join(allRows(), ","), "rows to measure")
	systems := flags.String("systems", "loop,tokend", "systems to measure")
	modes := flags.String("outages", "refused,reset,unavailable,hang", "kinds of outage to measure")
	flags.IntVar(&s.inFlight, "in-flight", 256, "requests at a time, for both systems")
	flags.DurationVar(&s.timeout, "timeout", 30*time.Second, "timeout of a request, for both systems")
	flags.StringVar(&s.grant, "grant", "client_credentials", "grant of tokend's tokens: client_credentials or password, which refreshes with rotation")
	flags.StringVar(&s.repo, "repo", "../..", "tokend's source, which is built first")
	flags.StringVar(&s.tokend, "tokend", "", "a ready tokend to measure instead")
	flags.IntVar(&s.ext4MiB, "ext4-image", 0, "make an ext4 of so many MiB in a file in -dir and measure there (needs root)")
	flags.BoolVar(&s.quick, "quick", false, "a smoke test in two minutes: 1000 tokens of 8 s, one outage, no CPU time on tmpfs; flags that are given stand")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if s.quick {
		s.hurry(flags, modes)
	}
	if err := s.absolute(); err != nil {
		return nil, err
	}
	s.rows, s.systems, s.modes = strings.Split(*rows, ","), strings.Split(*systems, ","), strings.Split(*modes, ",")
	return s, errors.Join(s.check(), noneLeft(flags.Args()))
}

// absolute spells the directories as tokend's config wants them.
func (s *settings) absolute() error {
	for _, dir := range []*string{&s.dir, &s.tmpfs} {
		if *dir == "" {
			continue
		}
		whole, err := filepath.Abs(*dir)
		if err != nil {
			return fmt.Errorf("finding %s: %w", *dir, err)
		}
		*dir = whole
	}
	return nil
}

// hurry replaces the defaults by those of -quick.
func (s *settings) hurry(flags *flag.FlagSet, modes *string) {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	s.lifetimes = 1
	if !given["n"] {
		s.tokens = 1000
	}
	if !given["lifetime"] {
		s.lifetime = 8 * time.Second
	}
	if !given["timeout"] {
		s.timeout = s.lifetime / 2
	}
	if !given["outages"] {
		*modes = "hang"
	}
}

func (s *settings) check() error {
	var errs []error
	if s.tokens < 1 {
		errs = append(errs, fmt.Errorf("-n %d: at least one token", s.tokens))
	}
	if s.lifetime < 8*time.Second || s.lifetime%time.Second != 0 {
		errs = append(errs, fmt.Errorf("-lifetime %v: whole seconds, 8s at least", s.lifetime))
	}
	if s.grant != "client_credentials" && s.grant != "password" {
		errs = append(errs, fmt.Errorf("-grant %s: client_credentials or password", s.grant))
	}
	errs = append(errs,
		oneOf("-rows", s.rows, allRows()),
		oneOf("-systems", s.systems, []string{"loop", "tokend"}),
		oneOf("-outages", s.modes, []string{"refused", "reset", "unavailable", "hang"}))
	return errors.Join(errs...)
}

func oneOf(flag string, given, known []string) error {
	for _, g := range given {
		if !slices.Contains(known, g) {
			return fmt.Errorf("%s: %q is none of %s", flag, g, strings.Join(known, ", "))
		}
	}
	return nil
}

func noneLeft(args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is no flag and no command; the commands are server and loop", args[0])
	}
	return nil
}

// wants reports whether any of rows was asked for.
func (s *settings) wants(rows ...string) bool {
	return slices.ContainsFunc(rows, func(r string) bool { return slices.Contains(s.rows, r) })
}

// outage is how long an outage lasts: 10 s for tokens of a minute. It is shorter
// than what is left of a token that is due for refresh.
func (s *settings) outage() time.Duration { return (s.lifetime / 6).Round(100 * time.Millisecond) }
