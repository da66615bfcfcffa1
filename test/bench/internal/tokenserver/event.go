package tokenserver

import (
	"sync"
	"time"
)

// Outcome is what became of one token request.
type Outcome uint8

const (
	Issued      Outcome = iota + 1 // answered with an access token
	Limited                        // 429 with Retry-After
	Unavailable                    // 503
	Reset                          // read, then the connection was reset
	Hung                           // read, and never answered
	Refused                        // 400 or 401: the request itself was wrong
)

// Event is one token request as the server saw it. Its size is fixed, so that a
// ledger can be sent as it is.
type Event struct {
	Token    int32 // the client's number; -1 when it could not be told
	Serial   int32 // counts the client's access tokens from 1; 0 unless Issued
	Outcome  Outcome
	Refresh  bool // grant_type=refresh_token
	_        [6]byte
	Arrived  int64 // when the whole request had been read, Unix nanoseconds
	Answered int64 // when the answer was about to be written
	Expires  int64 // when the access token ends; 0 unless Issued
}

// Ledger is every request since the start, in the order of their answers. It is
// safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	events   []Event
	clients  map[int32]client
	limited  int
	window   int64 // the second that the rate limit counts in
	inWindow int
}

type client struct {
	serial  int32
	refresh string // the only refresh token that is good
}

func newLedger() *Ledger { return &Ledger{clients: make(map[int32]client)} }

func (l *Ledger) add(e Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
	if e.Outcome == Limited {
		l.limited++
	}
}

// since returns a copy of the events from index from on.
func (l *Ledger) since(from int) []Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from < 0 || from >= len(l.events) {
		return nil
	}
	return append([]Event(nil), l.events[from:]...)
}

// allow counts a request against a fixed window of one second, as most gateways
// do.
func (l *Ledger) allow(now time.Time, rate int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if second := now.Unix(); second != l.window {
		l.window, l.inWindow = second, 0
	}
	l.inWindow++
	return l.inWindow <= rate
}
