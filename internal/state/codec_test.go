package state_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tokend-project/tokend/internal/state"
	"github.com/tokend-project/tokend/internal/state/statetest"
	"github.com/tokend-project/tokend/internal/token"
)

var testKey = token.NewSecret("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

func newCodec(t testing.TB, key token.Secret) *state.Codec {
	t.Helper()
	c, err := state.NewCodec(key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func encode(t testing.TB, c *state.Codec, name string, r token.Record) []byte {
	t.Helper()
	b, err := c.Encode(name, r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCodecRoundTrip(t *testing.T) {
	for what, r := range statetest.Records() {
		for _, key := range []token.Secret{{}, testKey} {
			c := newCodec(t, key)
			got, err := c.Decode("one", encode(t, c, "one", r))
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			statetest.Same(t, got, r)
		}
	}
}

// TestStoredRecordsOfVersion1 holds the encoding to what is on disks already.
func TestStoredRecordsOfVersion1(t *testing.T) {
	for _, name := range []string{"plain.hex", "sealed.hex"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := newCodec(t, testKey).Decode("one", b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		statetest.Same(t, got, statetest.Full())
	}
}

func TestDamagedRecordDoesNotOpen(t *testing.T) {
	for _, key := range []token.Secret{{}, testKey} {
		c := newCodec(t, key)
		b := encode(t, c, "one", statetest.Full())
		for i := range len(b) * 8 {
			damaged := bytes.Clone(b)
			damaged[i/8] ^= 1 << (i % 8)
			if _, err := c.Decode("one", damaged); !errors.Is(err, state.ErrDamaged) && !errors.Is(err, state.ErrKey) {
				t.Fatalf("sealed=%t, bit %d of byte %d flipped: %v", !key.IsEmpty(), i%8, i/8, err)
			}
		}
		for n := range b {
			if _, err := c.Decode("one", b[:n]); !errors.Is(err, state.ErrDamaged) {
				t.Fatalf("sealed=%t, cut to %d bytes: %v", !key.IsEmpty(), n, err)
			}
		}
		if _, err := c.Decode("one", append(bytes.Clone(b), 0)); !errors.Is(err, state.ErrDamaged) {
			t.Fatalf("a byte appended: %v", err)
		}
	}
}

// TestRecordIsBoundToNameAndGeneration: an attacker who can write the file, but
// has no key, must not get an older refresh token presented, or one to another
// token's endpoint.
func TestRecordIsBoundToNameAndGeneration(t *testing.T) {
	for _, key := range []token.Secret{{}, testKey} {
		c := newCodec(t, key)
		old, current := statetest.Full(), statetest.Full()
		old.Generation, current.Generation = 1, 2
		b, newer := encode(t, c, "one", old), encode(t, c, "one", current)
		if _, err := c.Decode("two", b); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("under another name: %v", err)
		}
		const header = 10
		moved := append(bytes.Clone(newer[:header]), b[header:]...)
		if _, err := c.Decode("one", moved); !errors.Is(err, state.ErrDamaged) {
			t.Errorf("under a newer generation: %v", err)
		}
	}
}

func TestCodecKeys(t *testing.T) {
	plain, sealing := newCodec(t, token.Secret{}), newCodec(t, testKey)
	other := newCodec(t, token.NewSecret(testKey.Reveal()+"x"))
	b := encode(t, sealing, "one", statetest.Full())
	for what, c := range map[string]*state.Codec{"no key": plain, "another key": other} {
		if _, err := c.Decode("one", b); !errors.Is(err, state.ErrKey) || errors.Is(err, state.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if r, err := sealing.Decode("one", encode(t, plain, "one", statetest.Full())); err != nil {
		t.Errorf("an unsealed record with a key: %v", err)
	} else {
		statetest.Same(t, r, statetest.Full())
	}
	if bytes.Equal(b, encode(t, sealing, "one", statetest.Full())) {
		t.Error("two seals of one record are alike")
	}
	if id, ok := state.SealedWith(b); !ok || id != sealing.KeyID() || id == other.KeyID() || id == plain.KeyID() {
		t.Errorf("sealed with %x (%t)", id, ok)
	}
	if _, err := state.NewCodec(token.NewSecret(strings.Repeat("k", state.MinKeyLength-1))); !errors.Is(err, state.ErrKey) {
		t.Errorf("a short key: %v", err)
	} else if strings.Contains(err.Error(), "kkk") {
		t.Errorf("the error has the key: %v", err)
	}
	for what, encoded := range map[string][]byte{"plain": encode(t, plain, "one", statetest.Full()), "sealed": b} {
		if bytes.Contains(encoded, []byte("refresh")) != (what == "plain") {
			t.Errorf("%s: the refresh token is, or is not, to be seen", what)
		}
	}
}
