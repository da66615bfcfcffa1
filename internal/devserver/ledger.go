package devserver

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

const (
	// keepSuperseded bounds how many of a family's past refresh tokens are
	// still recognised, newest first. An older one is merely unknown.
	keepSuperseded = 128

	// idleLifetime is how long a refresh token lives unused.
	idleLifetime = 14 * 24 * time.Hour
)

// digest is the SHA-256 of a token. The ledger knows tokens by nothing else.
type digest [sha256.Size]byte

func digestOf(token string) digest { return sha256.Sum256([]byte(token)) }

func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

func (d *digest) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("a digest of %d characters", len(text))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// family is what one login started: its refresh tokens, of which the last is
// good, and the access tokens that came of them.
type family struct {
	API        API           `json:"api"`
	Grant      string        `json:"grant"`
	Client     string        `json:"client"`
	Account    string        `json:"account"`
	Refresh    digest        `json:"refresh,omitzero"`
	Superseded []digest      `json:"superseded,omitempty"`
	Access     []accessToken `json:"access"`
	Touched    time.Time     `json:"touched"`
}

type accessToken struct {
	Digest    digest    `json:"digest"`
	ExpiresAt time.Time `json:"expires_at"`
}

// ledger indexes families by every token of theirs. It has no lock of its own.
type ledger struct {
	families   map[*family]struct{}
	access     map[digest]*family
	refresh    map[digest]*family
	superseded map[digest]*family
}

func newLedger() *ledger {
	return &ledger{
		families:   map[*family]struct{}{},
		access:     map[digest]*family{},
		refresh:    map[digest]*family{},
		superseded: map[digest]*family{},
	}
}

func (l *ledger) add(f *family) {
	l.families[f] = struct{}{}
	for _, a := range f.Access {
		l.access[a.Digest] = f
	}
	for _, d := range f.Superseded {
		l.superseded[d] = f
	}
	if f.Refresh != (digest{}) {
		l.refresh[f.Refresh] = f
	}
}

// revoke forgets the family and with it every token it has.
func (l *ledger) revoke(f *family) {
	l.killAccess(f)
	l.dropRefresh(f)
	for _, d := range f.Superseded {
		delete(l.superseded, d)
	}
	delete(l.families, f)
}

func (l *ledger) killAccess(f *family) {
	for _, a := range f.Access {
		delete(l.access, a.Digest)
	}
	f.Access = nil
}

func (l *ledger) dropRefresh(f *family) {
	delete(l.refresh, f.Refresh)
	f.Refresh = digest{}
}

// rotate makes next the family's refresh token and remembers the one before.
func (l *ledger) rotate(f *family, next digest) {
	l.superseded[f.Refresh] = f
	f.Superseded = append(f.Superseded, f.Refresh)
	l.dropRefresh(f)
	f.Refresh = next
	l.refresh[next] = f
	for len(f.Superseded) > keepSuperseded {
		delete(l.superseded, f.Superseded[0])
		f.Superseded = f.Superseded[1:]
	}
}

func (l *ledger) grantAccess(f *family, d digest, expires time.Time) {
	f.Access = append(f.Access, accessToken{Digest: d, ExpiresAt: expires})
	l.access[d] = f
}

// live reports whether token is an unexpired access token of that API, and
// whose.
func (l *ledger) live(api API, token string, now time.Time) (account string, ok bool) {
	d := digestOf(token)
	f := l.access[d]
	if f == nil || f.API != api {
		return "", false
	}
	for _, a := range f.Access {
		if a.Digest == d {
			return f.Account, now.Before(a.ExpiresAt)
		}
	}
	return "", false
}

// prune forgets what has expired, so that neither memory nor the state file
// grows with time.
func (l *ledger) prune(now time.Time) {
	for f := range l.families {
		kept := f.Access[:0]
		for _, a := range f.Access {
			if now.Before(a.ExpiresAt) {
				kept = append(kept, a)
			} else {
				delete(l.access, a.Digest)
			}
		}
		f.Access = kept
		idle := now.Sub(f.Touched) > idleLifetime
		if len(f.Access) == 0 && (idle || f.Refresh == digest{}) {
			l.revoke(f)
		}
	}
}
