// Package watchdog sees every token file change as it happens, reads what the
// file then holds, and keeps a [Book] of it: what each file held when, and so
// how long a reader of the file would have been refused.
package watchdog

import (
	"sync"
	"time"
)

// Placement is a file that was found to hold another token than before. The
// zero Expires stands for a file that is gone or unreadable.
type Placement struct {
	At      int64 // Unix nanoseconds, taken when the change was noticed
	Serial  int32
	Expires int64
}

// Book is what every token's file held when. It is safe for concurrent use.
type Book struct {
	mu     sync.Mutex
	tokens [][]Placement
	held   int   // tokens that have had a file
	whole  int64 // when the last of them got its first
}

// NewBook returns a book for n tokens, none of which has a file yet.
func NewBook(n int) *Book { return &Book{tokens: make([][]Placement, n)} }

// Add notes what token's file holds. What it held before is not noted again.
func (b *Book) Add(token int32, p Placement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if token < 0 || int(token) >= len(b.tokens) {
		return
	}
	list := b.tokens[token]
	if n := len(list); n > 0 && list[n-1].Serial == p.Serial && list[n-1].Expires == p.Expires {
		return
	}
	if len(list) == 0 {
		b.held++
		b.whole = max(b.whole, p.At)
	}
	b.tokens[token] = append(list, p)
}

// Held returns how many tokens have had a file so far, and when the last of them
// got its first.
func (b *Book) Held() (int, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held, time.Unix(0, b.whole)
}

// Invalid returns how many files hold no valid token at now.
func (b *Book) Invalid(now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	invalid := 0
	for _, list := range b.tokens {
		if n := len(list); n == 0 || list[n-1].Expires <= now.UnixNano() {
			invalid++
		}
	}
	return invalid
}

// Lost adds up, over all tokens, the time between from and to during which the
// token's file held no valid token: its token-seconds lost.
func (b *Book) Lost(from, to time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lost time.Duration
	for _, list := range b.tokens {
		lost += lostOf(list, from.UnixNano(), to.UnixNano())
	}
	return lost
}

func lostOf(list []Placement, from, to int64) time.Duration {
	valid := int64(0)
	for i, p := range list {
		replaced := to
		if i+1 < len(list) {
			replaced = list[i+1].At
		}
		valid += max(0, min(p.Expires, replaced, to)-max(p.At, from))
	}
	return time.Duration(max(0, to-from) - valid)
}

// Key names one access token: whose, and which of theirs.
type Key struct{ Token, Serial int32 }

// Placed returns when each access token was first seen in its file.
func (b *Book) Placed() map[Key]int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	placed := make(map[Key]int64)
	for token, list := range b.tokens {
		for _, p := range list {
			key := Key{int32(token), p.Serial}
			if _, known := placed[key]; !known {
				placed[key] = p.At
			}
		}
	}
	return placed
}
