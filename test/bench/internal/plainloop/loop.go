// Package plainloop is what tokend is measured against: the loop that an engineer
// writes in an afternoon. golang.org/x/oauth2 gets the tokens, every token has a
// goroutine and a timer, a semaphore bounds what is in flight, files are written
// atomically. Nothing survives a restart, and there is no configuration, status
// or sink but files. It is written in earnest: it is not there to look bad.
package plainloop

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	refreshAt    = 0.75 // of what is left of the lifetime when the answer arrives
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Options is what the loop is to do.
type Options struct {
	TokenURL     string
	ClientSecret string        // of every client
	Tokens       int           // client-0 to client-(Tokens−1)
	Dir          string        // one file a token, named as its client
	InFlight     int           // refreshes at a time, from the request to the file
	Timeout      time.Duration // of one HTTP request
	Log          *log.Logger
}

// FileName is the name of a token's file within [Options.Dir].
func FileName(i int) string { return "client-" + strconv.Itoa(i) }

// Run keeps the tokens fresh until ctx is done, then waits for what is in flight.
func Run(ctx context.Context, o Options) {
	l := loop{Options: o, slots: make(chan struct{}, o.InFlight)}
	// An engineer sets a timeout and leaves the transport as it is.
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Timeout: o.Timeout})
	var wg sync.WaitGroup
	for i := range o.Tokens {
		wg.Go(func() { l.keep(ctx, FileName(i)) })
	}
	wg.Wait()
}

type loop struct {
	Options
	slots chan struct{}
}

// keep is the life of one token.
func (l *loop) keep(ctx context.Context, name string) {
	client := clientcredentials.Config{ClientID: name, ClientSecret: l.ClientSecret, TokenURL: l.TokenURL}
	timer := time.NewTimer(0)
	defer timer.Stop()
	backoff := firstBackoff
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		tok, err := l.refresh(ctx, &client, name)
		if err != nil {
			l.Log.Printf("%s: %v; next attempt in %v", name, err, backoff)
			timer.Reset(backoff)
			backoff = min(2*backoff, lastBackoff)
			continue
		}
		backoff = firstBackoff
		timer.Reset(time.Duration(refreshAt * float64(time.Until(tok.Expiry))))
	}
}

func (l *loop) refresh(ctx context.Context, client *clientcredentials.Config, name string) (*oauth2.Token, error) {
	l.slots <- struct{}{}
	defer func() { <-l.slots }()
	tok, err := client.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("getting a token: %w", err)
	}
	if err := writeFile(filepath.Join(l.Dir, name), []byte(tok.AccessToken)); err != nil {
		return nil, fmt.Errorf("writing the token: %w", err)
	}
	return tok, nil
}
