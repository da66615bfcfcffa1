package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/testbed/tokend"
)

// introspector is a server that says whether it takes an access token
// (RFC 7662).
type introspector interface {
	Introspect(ctx context.Context, accessToken string) (bool, error)
}

// judge watches one file: is the token in it alive?
type judge struct {
	name   string
	path   string
	server introspector
	period time.Duration
	cancel context.CancelFunc
	done   sync.WaitGroup

	verdict verdict
}

// verdict is what a judge saw.
type verdict struct {
	samples  int             // answered questions
	unjudged int             // the server was not there to be asked
	absent   int             // there was no file
	tokens   map[string]bool // every access token that was seen
	dead     []time.Duration // windows in which the file held a dead token
	watched  time.Duration
	stall    time.Duration // the latest that the judge was woken, for want of a processor
}

// tenth of a second: how often a judge asks.
const tenth = 100 * time.Millisecond

// watch begins once the file is there.
func watch(t *testing.T, name, path string, server introspector, period time.Duration) *judge {
	t.Helper()
	tokend.Await(t, 20*time.Second, "there is a token in "+path, func() bool {
		content, err := os.ReadFile(path)
		return err == nil && len(content) > 0
	})
	ctx, cancel := context.WithCancel(t.Context())
	j := &judge{name: name, path: path, server: server, period: period, cancel: cancel}
	j.verdict.tokens = map[string]bool{}
	j.done.Go(func() { j.sit(ctx) })
	t.Cleanup(func() { cancel(); j.done.Wait() })
	return j
}

// rest ends the session, reports it and returns the verdict.
func (j *judge) rest(t *testing.T) verdict {
	t.Helper()
	j.cancel()
	j.done.Wait()
	line := fmt.Sprintf("judge: %-36s %s", j.name, j.verdict)
	t.Log(line)
	lab.reports.add(line)
	return j.verdict
}

func (j *judge) sit(ctx context.Context) {
	began := time.Now()
	for next := began; ctx.Err() == nil; {
		j.ask(ctx)
		if next = next.Add(j.period); time.Until(next) <= 0 {
			next = time.Now() // the server took its time
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Until(next)):
			j.verdict.stall = max(j.verdict.stall, time.Since(next))
		}
	}
	j.verdict.watched = time.Since(began)
}

// ask judges once. After a dead token it asks on, every two milliseconds, until
// there is a live one: that is a dead window. It begins when the question is
// sent, so that a token which died between reading and asking counts as well, as
// it does for a consumer.
func (j *judge) ask(ctx context.Context) {
	sent := time.Now()
	if alive, asked := j.sample(ctx); alive || !asked {
		return
	}
	for ctx.Err() == nil {
		read := time.Now()
		if alive, asked := j.sample(ctx); asked && alive {
			j.verdict.dead = append(j.verdict.dead, read.Sub(sent))
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	j.verdict.dead = append(j.verdict.dead, time.Since(sent))
}

func (j *judge) sample(ctx context.Context) (alive, asked bool) {
	content, err := os.ReadFile(j.path)
	if err != nil {
		j.verdict.absent++
		return false, true
	}
	accessToken := string(bytes.TrimSpace(content))
	alive, err = j.server.Introspect(ctx, accessToken)
	if err != nil {
		if ctx.Err() == nil {
			j.verdict.unjudged++
		}
		return false, false
	}
	j.verdict.samples++
	j.verdict.tokens[accessToken] = true
	return alive, true
}

func (v verdict) String() string {
	s := fmt.Sprintf("%4.1f s, %5d samples, %2d tokens, ", v.watched.Seconds(), v.samples, len(v.tokens))
	if v.unjudged > 0 {
		s += fmt.Sprintf("%d without the server, ", v.unjudged)
	}
	if v.absent > 0 {
		s += fmt.Sprintf("%d without a file, ", v.absent)
	}
	if len(v.dead) == 0 {
		return s + "never dead"
	}
	var total time.Duration
	for _, d := range v.dead {
		total += d
	}
	return s + fmt.Sprintf("%d dead windows, longest %.1f ms, together %.1f ms",
		len(v.dead), milliseconds(slices.Max(v.dead)), milliseconds(total))
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// neverDead is for servers that leave the previous access token alone.
func (v verdict) neverDead(t *testing.T) {
	t.Helper()
	if len(v.dead) > 0 || v.absent > 0 {
		t.Errorf("the file must always hold a live token: %s", v)
	}
}

// deadForMomentsOnly is for servers that kill the previous access token at
// refresh: then there is one short window a generation at most. A machine that
// kept the judge waiting kept the daemon waiting too; that much is granted.
func (v verdict) deadForMomentsOnly(t *testing.T, longest time.Duration) {
	t.Helper()
	if v.absent > 0 || len(v.dead) >= len(v.tokens) {
		t.Errorf("more dead windows than refreshes: %s", v)
	}
	if len(v.dead) > 0 && slices.Max(v.dead) > longest+v.stall {
		t.Errorf("a dead window of more than %v, on a machine that stalls for %v: %s", longest, v.stall, v)
	}
}

// reports collects lines that are printed after the last test.
type reports struct {
	mu    sync.Mutex
	lines []string
}

func (r *reports) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *reports) print(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) > 0 {
		_, _ = fmt.Fprintln(w, strings.Join(r.lines, "\n"))
	}
}
