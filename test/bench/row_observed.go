package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/figures"
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
	var stages []*stage
	for _, o := range observers {
		st := b.whole(sys)
		if o.http {
			address, err := freeAddress()
			if err != nil {
				return err
			}
			st.http, st.perToken = address, o.perToken
		}
		stages = append(stages, st)
	}
	return b.together(ctx, stages, "observed", func() error {
		stop := look(ctx, observers, stages)
		each, err := b.leaveAlone(ctx, stages, "observed", time.Now().Add(b.lifetime))
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
		for i, o := range observers[1:] {
			b.settleObserved(o.row, sys.name(), each[i+1], each[0])
		}
		return nil
	})
}

// settleObserved puts down what being looked at costs: the median of what it is in
// each lifetime.
func (b *bench) settleObserved(row, system string, with, without []float64) {
	shares := make([]float64, len(with))
	for n := range with {
		shares[n] = with[n] / without[n]
	}
	half := figures.Median(shares)
	b.put(row, system, cell{value: half, text: fmt.Sprintf("%.0f µs, without %.0f µs = %.2f× (%.2f–%.2f)",
		figures.Median(with), figures.Median(without), half, slices.Min(shares), slices.Max(shares))})
}

// look begins to look at the stages. The function that it returns ends that, and
// tells whether it has worked.
func look(ctx context.Context, observers []observer, stages []*stage) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var lookers sync.WaitGroup
	failed := make(chan error, 2*len(stages))
	for i, st := range stages {
		if st.http != "" {
			lookers.Go(func() { failed <- scrape(ctx, "http://"+st.http+"/metrics") })
		}
		if observers[i].reader {
			lookers.Go(func() { failed <- read(ctx, "http://"+st.http+"/api/v1/events") })
		}
	}
	return func() error {
		cancel()
		lookers.Wait()
		close(failed)
		var errs []error
		for err := range failed {
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
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
