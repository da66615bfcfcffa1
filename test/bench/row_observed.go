package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// scrapeEvery is Prometheus' interval as its users set it.
const scrapeEvery = 15 * time.Second

// observed measures what it costs to be looked at: the same lifetime on tmpfs once
// without an http block and with a log of warnings alone, and once with metrics that
// are scraped, the status page ready and every refresh in the log.
func (b *bench) observed(ctx context.Context, sys system) error {
	if _, ok := sys.(tokend); !ok || b.tmpfs == "" {
		return nil
	}
	if err := b.lookedAt(ctx, b.whole(sys), "unobserved"); err != nil {
		return err
	}
	st := b.whole(sys)
	address, err := freeAddress()
	if err != nil {
		return err
	}
	st.http = address
	if err := b.lookedAt(ctx, st, "observed"); err != nil {
		return err
	}
	without, with := b.cells["unobserved"][sys.name()], b.cells["observed"][sys.name()]
	share := with.value / max(without.value, 1)
	b.put("observed", sys.name(), cell{value: share, text: fmt.Sprintf("%s, without %s = %.2f×", with.text, without.text, share), bad: with.bad || without.bad})
	return nil
}

func (b *bench) lookedAt(ctx context.Context, st *stage, row string) error {
	return b.on(ctx, st, b.tmpfs, func() error {
		if err := b.coldOn(ctx, st, "cold on tmpfs"); err != nil {
			return err
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		failed := make(chan error, 1)
		if st.http != "" {
			go func() { failed <- scrape(ctx, "http://"+st.http+"/metrics") }()
		}
		if err := b.leaveAlone(ctx, st, row, false); err != nil {
			return err
		}
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	})
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
