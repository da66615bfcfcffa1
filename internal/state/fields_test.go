package state

import (
	"errors"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

// FuzzFields gets behind the checksum, which keeps FuzzDecode from most of what
// could go wrong here.
func FuzzFields(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendFields(nil, &token.Record{Binding: "b", Cold: true, Intent: &token.Intent{Attempt: 2}}))
	f.Add([]byte{tagBinding, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseFields(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if size := len(appendFields(nil, &r)); size > fieldsSize(&r) {
			t.Fatalf("%d bytes, %d were reckoned", size, fieldsSize(&r))
		}
	})
}

func TestMalformedFields(t *testing.T) {
	for what, b := range map[string][]byte{
		"a tag alone":                {tagBinding},
		"a length beyond the end":    {tagBinding, 5, 'a'},
		"a length that overflows":    {tagBinding, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"one field twice":            {tagBinding, 1, 'a', tagBinding, 1, 'b'},
		"fields out of order":        {tagBinding, 1, 'a', tagScope, 1, 'b'},
		"a time of the wrong size":   {tagIssuedAt, 1, 0},
		"an intent of no size":       {tagIntent, 0},
		"a seed of the wrong size":   {tagSeed, 2, 0, 0},
		"a rotation of no size":      {tagRotation, 0},
		"a field with the number 0":  {0, 0},
		"a generation that is short": {tagNotified, 1, 1},
	} {
		if _, err := parseFields(b); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestFieldOfALaterVersionIsSkipped: after a downgrade, tokens live on.
func TestFieldOfALaterVersionIsSkipped(t *testing.T) {
	b := appendFields(nil, &token.Record{Binding: "kept"})
	b = append(b, 200, 3, 'n', 'e', 'w')
	r, err := parseFields(b)
	if err != nil || r.Binding != "kept" {
		t.Errorf("binding %q (%v)", r.Binding, err)
	}
}
