package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// scrapeEvery is Prometheus' interval as its users set it.
const scrapeEvery = 15 * time.Second

// observer is one way of being looked at.
type observer struct {
	row      string
	http     bool // metrics, which are scraped, and every refresh in the log
	perToken bool // metrics of every token
	reader   bool // of the status page
}

// observed measures what it costs to be looked at. Daemons that are looked at in
// several ways, or not at all, each with all tokens and a server of its own, run at
// the same time: one after the other, they would meet the machine in moods that
// differ by more than what is to be measured.
func (b *bench) observed(ctx context.Context, sys system) error {
	if _, ok := sys.(tokend); !ok || b.tmpfs == "" {
		return nil
	}
	observers := []observer{
		{row: "unobserved"},
		{row: "observed", http: true},
		{row: "observed, per token", http: true, perToken: true},
		{row: "observed, read", http: true, reader: true},
	}
	if err := b.lookAt(ctx, sys, observers, nil); err != nil {
		return err
	}
	without := b.cells["unobserved"][sys.name()]
	for _, o := range observers[1:] {
		with := b.cells[o.row][sys.name()]
		share := with.value / max(without.value, 1)
		b.put(o.row, sys.name(), cell{value: share, text: fmt.Sprintf("%s, without %s = %.2f×", with.text, without.text, share), bad: with.bad || without.bad})
	}
	return nil
}

// lookAt starts a daemon for each observer, then watches all of them over the same
// lifetime, the second one: in the first, one refreshes while the next one starts.
func (b *bench) lookAt(ctx context.Context, sys system, observers []observer, started []*stage) error {
	if len(started) == len(observers) {
		return b.look(ctx, observers, started)
	}
	o, st := observers[len(started)], b.whole(sys)
	if o.http {
		address, err := freeAddress()
		if err != nil {
			return err
		}
		st.http, st.perToken = address, o.perToken
	}
	return b.on(ctx, st, b.tmpfs, func() error {
		if _, err := st.cold(ctx); err != nil {
			return err
		}
		return b.lookAt(ctx, sys, observers, append(started, st))
	})
}

func (b *bench) look(ctx context.Context, observers []observer, stages []*stage) error {
	looking, stop := context.WithCancel(ctx)
	defer stop()
	var lookers sync.WaitGroup
	failed := make(chan error, 2*len(stages))
	spans := make([]*span, len(stages))
	for i, st := range stages {
		if st.http != "" {
			lookers.Go(func() { failed <- scrape(looking, "http://"+st.http+"/metrics") })
		}
		if observers[i].reader {
			lookers.Go(func() { failed <- read(looking, "http://"+st.http+"/api/v1/events") })
		}
	}
	settled := time.Now().Add(b.lifetime)
	for _, st := range stages {
		if err := st.until(ctx, settled); err != nil {
			return err
		}
	}
	for i, st := range stages {
		var err error
		if spans[i], err = begin(st); err != nil {
			return err
		}
	}
	for _, st := range stages {
		if err := st.until(ctx, spans[0].from.Add(b.lifetime)); err != nil {
			return err
		}
	}
	for _, s := range spans {
		if err := s.end(); err != nil {
			return err
		}
	}
	for i, s := range spans {
		if err := b.settle(ctx, s, observers[i].row); err != nil {
			return err
		}
	}
	stop()
	lookers.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// scrape asks for metrics as Prometheus does, until ctx ends.
func scrape(ctx context.Context, url string) error {
	tick := time.NewTicker(scrapeEvery)
	defer tick.Stop()
	for {
		if err := fetch(ctx, url); err != nil && ctx.Err() == nil {
			return fmt.Errorf("scraping: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// read follows the events of the status page, until ctx ends.
func read(ctx context.Context, url string) error {
	if err := fetch(ctx, url); ctx.Err() == nil {
		return fmt.Errorf("reading the page's events ended: %w", err)
	}
	return nil
}

func fetch(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}
