package watchdog

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tokend-project/tokend/test/bench/internal/tokenserver"
)

func at(seconds float64) time.Time { return time.Unix(0, int64(seconds*1e9)) }

func held(from, expires float64, serial int32) Placement {
	return Placement{At: at(from).UnixNano(), Expires: at(expires).UnixNano(), Serial: serial}
}

func TestLostTokenSeconds(t *testing.T) {
	for _, tc := range []struct {
		name string
		list []Placement
		want time.Duration
	}{
		{"no file at all", nil, 100 * time.Second},
		{"valid throughout", []Placement{held(5, 300, 1)}, 0},
		{"replaced in time", []Placement{held(5, 150, 1), held(120, 300, 2)}, 0},
		{"replaced ten seconds late", []Placement{held(5, 150, 1), held(160, 300, 2)}, 10 * time.Second},
		{"never replaced", []Placement{held(5, 150, 1)}, 50 * time.Second},
		{"gone for a while", []Placement{held(5, 300, 1), {At: at(110).UnixNano()}, held(130, 300, 1)}, 20 * time.Second},
		{"replaced by an expired one", []Placement{held(5, 150, 1), held(140, 120, 2), held(145, 300, 3)}, 5 * time.Second},
		{"what happens outside the window does not count", []Placement{held(5, 50, 1), held(90, 300, 2), held(250, 260, 3)}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := NewBook(1)
			for _, p := range tc.list {
				b.Add(0, p)
			}
			if got := b.Lost(at(100), at(200)); got != tc.want {
				t.Errorf("Lost = %v, want %v", got, tc.want)
			}
		})
	}
}

func TestBookTellsWhenEveryTokenHasAFile(t *testing.T) {
	b := NewBook(2)
	b.Add(1, held(3, 60, 1))
	if n, _ := b.Held(); n != 1 || b.Invalid(at(4)) != 1 {
		t.Errorf("one file: held %d, invalid %d", n, b.Invalid(at(4)))
	}
	b.Add(0, held(5, 60, 1))
	b.Add(1, held(9, 90, 2))
	b.Add(7, held(9, 90, 2)) // a token that nobody asked for
	if n, whole := b.Held(); n != 2 || !whole.Equal(at(5)) {
		t.Errorf("held %d, whole at %v", n, whole)
	}
	if got := b.Invalid(at(70)); got != 1 {
		t.Errorf("%d invalid after the first expiry, want 1", got)
	}
}

func TestPlacedKeepsTheFirstSight(t *testing.T) {
	b := NewBook(1)
	b.Add(0, held(1, 60, 1))
	b.Add(0, held(2, 60, 1)) // the same again
	b.Add(0, Placement{At: at(3).UnixNano()})
	b.Add(0, held(4, 60, 1)) // put back
	if got := b.Placed()[Key{0, 1}]; got != at(1).UnixNano() {
		t.Errorf("first seen at %v", time.Unix(0, got))
	}
}

func TestWatchFollowsRenamesAndDeletions(t *testing.T) {
	dir, book := t.TempDir(), NewBook(3)
	valid := func(token, serial int32) string {
		return tokenserver.AccessToken{Token: token, Serial: serial, Expires: time.Now().Add(time.Hour).UnixNano()}.String()
	}
	put := func(name, content string) {
		t.Helper()
		temp := filepath.Join(dir, ".tmp-1")
		if err := os.WriteFile(temp, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	put(FileName(0), valid(0, 1)) // there before the watch
	w, err := Start(dir, book)
	if err != nil {
		t.Fatal(err)
	}
	put(FileName(1), valid(1, 1)+"\n")
	put(FileName(2), valid(1, 1)) // another token's content
	put("client-2.part", valid(2, 1))
	await(t, "two good files, one bad", func() bool { n, _ := book.Held(); return n == 3 && book.Invalid(time.Now()) == 1 })
	put(FileName(2), valid(2, 2))
	await(t, "all good", func() bool { return book.Invalid(time.Now()) == 0 })
	if err := os.Remove(filepath.Join(dir, FileName(0))); err != nil {
		t.Fatal(err)
	}
	await(t, "one gone", func() bool { return book.Invalid(time.Now()) == 1 })
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}
