package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/token"
)

func TestKeys(t *testing.T) {
	other := token.NewSecret(strings.Repeat("other key ", 4))
	for _, test := range []struct {
		name          string
		first, second token.Secret
		empty         bool // no record is saved in between
		want          string
	}{
		{name: "the same key", first: testKey, second: testKey},
		{name: "never a key"},
		{name: "a key given later", second: testKey},
		{name: "another key", first: testKey, second: other, want: "sealed with another state key"},
		{name: "the key removed", first: testKey, want: "no state key is given"},
		{name: "another key, nothing sealed yet", first: testKey, second: other, empty: true},
		{name: "the key removed, nothing sealed yet", first: testKey, empty: true},
		{name: "a short key", second: token.NewSecret("31 bytes are not enough for me!"), want: "state key is too short: 31 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := newDir(t)
			s := mustOpen(t, Options{Dir: dir, Key: test.first})
			if !test.empty {
				mustSave(t, s, "one", 1)
			}
			_ = s.Close()
			s, err := Open(t.Context(), Options{Dir: dir, Key: test.second})
			if test.want != "" {
				if !errors.Is(err, state.ErrKey) || !strings.Contains(err.Error(), test.want) {
					t.Fatalf("Open: %v, want %q", err, test.want)
				}
				// Nothing was harmed, and the lock was given up.
				wantGeneration(t, mustOpen(t, Options{Dir: dir, Key: test.first}), "one", 1)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if !test.empty {
				wantGeneration(t, s, "one", 1)
			}
			mustSave(t, s, "one", 2)
			wantGeneration(t, s, "one", 2)
		})
	}
}

func TestSecretsAreNotInASealedFile(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, Options{Dir: dir, Key: testKey})
	r := generationOf(1)
	r.AccessToken, r.RefreshToken = token.NewSecret("canary-access"), token.NewSecret("canary-refresh")
	if err := s.Save(t.Context(), "one", r); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	file, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"canary", r.Binding, testKey.Reveal()} {
		if strings.Contains(string(file), secret) {
			t.Errorf("the file has %q", secret)
		}
	}
}

// TestUnsealedRecordIsSealedByTheNextSave: a key that is given later.
func TestUnsealedRecordIsSealedByTheNextSave(t *testing.T) {
	dir := newDir(t)
	s := mustOpen(t, Options{Dir: dir})
	mustSave(t, s, "one", 1)
	_ = s.Close()
	s = mustOpen(t, Options{Dir: dir, Key: testKey})
	raw := func() bool {
		value, _, err := s.read("one")
		if err != nil {
			t.Fatal(err)
		}
		_, sealed := state.SealedWith(value)
		return sealed
	}
	if raw() {
		t.Error("sealed before it was saved again")
	}
	mustSave(t, s, "one", 2)
	if !raw() {
		t.Error("not sealed by Save")
	}
}
