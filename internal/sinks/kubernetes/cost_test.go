package kubernetes_test

import (
	"fmt"
	"maps"
	"testing"

	sink "github.com/tokend-project/tokend/internal/sinks/kubernetes"
	"github.com/tokend-project/tokend/internal/sinks/sinktest"
)

func TestOneRequestARefresh(t *testing.T) {
	t.Parallel()
	for _, watched := range []bool{true, false} {
		t.Run(fmt.Sprintf("watched=%t", watched), func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			s := p.sink()
			want := map[string]int{"patch secrets": 20}
			if watched {
				p.follow(s)
				want["watch secrets"] = 1
			} else {
				want["get secrets"] = 1 // the first Write has to look
			}
			for g := uint64(1); g <= 20; g++ {
				p.write(s, g, true)
			}
			if got := p.counts(); !maps.Equal(got, want) {
				t.Errorf("20 refreshes made the requests %v, want %v", got, want)
			}
		})
	}
}

// A restart must not write a thousand Secrets that hold what they should.
func TestRestartWithUnchangedSecretsMakesNoRequestButTheWatch(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write(p.sink(), 1, true)
	before := p.counts()
	restarted := p.sink()
	p.follow(restarted)
	for range 3 {
		p.write(restarted, 1, false)
	}
	want := maps.Clone(before)
	want["watch secrets"]++
	if got := p.counts(); !maps.Equal(got, want) {
		t.Errorf("the requests are %v, want %v", got, want)
	}
}

func TestSinksOfANamespaceShareOneWatchAndOneProof(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	client := p.client()
	for n := range 10 {
		s := p.sink(func(o *sink.Options) { o.Client, o.Name = client, fmt.Sprintf("rator-%d", n) })
		p.follow(s)
		p.must(s.Check(t.Context()))
		p.write(s, 1, true)
	}
	want := map[string]int{"watch secrets": 1, "patch secrets": 11, "get secrets": 1}
	if got := p.counts(); !maps.Equal(got, want) {
		t.Errorf("ten sinks made the requests %v, want %v", got, want)
	}
}

// A foreign controller that annotates every Secret moves the version on. The watch
// tells, and the next refresh is one request all the same.
func TestForeignChangesCostNoRequest(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.sink()
	drifted := p.follow(s)
	p.write(s, 1, true)
	p.edit("token", "somebody else's")
	drifted() // so that the watch is known to be up to date
	p.write(s, 1, true)
	before := p.counts()
	for g := uint64(2); g <= 6; g++ {
		p.merge(map[string]any{"metadata": map[string]any{"annotations": map[string]string{"example.com/scanned": fmt.Sprint(g)}}})
		p.awaitSeen(s)
		p.write(s, g, true)
	}
	want := maps.Clone(before)
	want["patch secrets"] += 5
	if got := p.counts(); !maps.Equal(got, want) {
		t.Errorf("the requests are %v, want %v", got, want)
	}
}

func TestTooMuchDataIsRefusedBeforeItIsSent(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := p.sink(func(o *sink.Options) { o.Data["big"] = constant(make([]byte, 1<<20)) })
	_, err := s.Write(t.Context(), sinktest.Token(1))
	p.says(err, "1 MiB")
	if got := p.counts(); len(got) > 0 {
		t.Errorf("there were the requests %v", got)
	}
}
