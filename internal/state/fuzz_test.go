package state_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
)

// FuzzDecode: whatever lies on the disk, reading it does not panic, and what is
// read comes back the same when it is saved again.
func FuzzDecode(f *testing.F) {
	plain, sealing := newCodec(f, token.Secret{}), newCodec(f, testKey)
	for _, r := range statetest.Records() {
		if len(r.AccessToken.Reveal()) < 1<<10 {
			f.Add(encode(f, plain, "one", r))
			f.Add(encode(f, sealing, "one", r))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []*state.Codec{plain, sealing} {
			r, err := c.Decode("one", b)
			if err != nil {
				if !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrKey) {
					t.Fatalf("an error of no kind: %v", err)
				}
				continue
			}
			again, err := c.Decode("one", encode(t, c, "one", r))
			if err != nil {
				t.Fatal(err)
			}
			statetest.Same(t, again, r)
		}
	})
}

// FuzzRecord: every record comes back as it was.
func FuzzRecord(f *testing.F) {
	f.Add(uint64(1), "access", "Bearer", "a b", "refresh", "binding", int64(0), int64(1), true, 1)
	f.Add(uint64(0), "", "", "", "", "", int64(-1), int64(1<<62), false, -1)
	f.Fuzz(func(t *testing.T, g uint64, access, kind, scope, refresh, binding string, issued, expires int64, cold bool, attempt int) {
		r := token.Record{
			Token: token.Token{
				Generation: g, AccessToken: token.NewSecret(access), TokenType: kind, Scope: scope,
				IssuedAt: time.Unix(issued, expires%1e9).UTC(), ExpiresAt: time.Unix(expires, 0).UTC(),
			},
			RefreshToken: token.NewSecret(refresh), Binding: binding, Cold: cold,
			Intent: &token.Intent{Attempt: attempt, Spent: token.NewSecret(refresh).Sum(), Started: time.Unix(issued, 0).UTC()},
		}
		for _, key := range []token.Secret{{}, testKey} {
			c := newCodec(t, key)
			got, err := c.Decode("one", encode(t, c, "one", r))
			if err != nil {
				t.Fatal(err)
			}
			statetest.Same(t, got, r)
		}
	})
}
