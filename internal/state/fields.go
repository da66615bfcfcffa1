package state

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

// A record's fields are a sequence of tag, length and value; zero fields are
// left out. A reader skips tags that it does not know, so a field that must not
// be lost by an older tokend asks for a new version of the record. Numbers of
// removed fields are not used again.
const (
	tagAccessToken  = 1
	tagTokenType    = 2
	tagScope        = 3
	tagIssuedAt     = 4
	tagExpiresAt    = 5
	tagRefreshToken = 6
	tagBinding      = 7
	tagSeed         = 8
	tagIntent       = 9
	tagRotation     = 10
	tagCold         = 11
	tagNotified     = 12
	tags            = 12
)

const (
	timeSize   = 12 // seconds since 1970, nanoseconds; big endian
	intentSize = 8 + sha256.Size + timeSize
)

// fieldsSize is an upper bound, so that encoding allocates once.
func fieldsSize(r *token.Record) int {
	return len(r.AccessToken.Reveal()) + len(r.RefreshToken.Reveal()) + len(r.TokenType) + len(r.Scope) +
		len(r.Binding) + sha256.Size + 2*timeSize + intentSize + 1 + 8 + tags*(1+binary.MaxVarintLen32)
}

func appendFields(b []byte, r *token.Record) []byte {
	b = appendField(b, tagAccessToken, r.AccessToken.Reveal())
	b = appendField(b, tagTokenType, r.TokenType)
	b = appendField(b, tagScope, r.Scope)
	b = appendTimeField(b, tagIssuedAt, r.IssuedAt)
	b = appendTimeField(b, tagExpiresAt, r.ExpiresAt)
	b = appendField(b, tagRefreshToken, r.RefreshToken.Reveal())
	b = appendField(b, tagBinding, r.Binding)
	if r.Seed != [sha256.Size]byte{} {
		b = append(append(b, tagSeed, sha256.Size), r.Seed[:]...)
	}
	if r.Intent != nil {
		b = append(b, tagIntent, intentSize)
		b = binary.BigEndian.AppendUint64(b, uint64(r.Intent.Attempt))
		b = append(b, r.Intent.Spent[:]...)
		b = appendTime(b, r.Intent.Started)
	}
	if r.Rotation != token.RotationUnknown {
		b = append(b, tagRotation, 1, byte(r.Rotation))
	}
	if r.Cold {
		b = append(b, tagCold, 0)
	}
	if r.Notified != 0 {
		b = binary.BigEndian.AppendUint64(append(b, tagNotified, 8), r.Notified)
	}
	return b
}

func appendField(b []byte, tag byte, s string) []byte {
	if s == "" {
		return b
	}
	b = binary.AppendUvarint(append(b, tag), uint64(len(s)))
	return append(b, s...)
}

func appendTimeField(b []byte, tag byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendTime(append(b, tag, timeSize), t)
}

// appendTime keeps the instant alone: a monotonic reading means nothing after a
// restart, and neither does a zone.
func appendTime(b []byte, t time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Unix()))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

func parseFields(b []byte) (token.Record, error) {
	var r token.Record
	var last byte
	for len(b) > 0 {
		tag := b[0]
		size, n := binary.Uvarint(b[1:])
		if n <= 0 || size > uint64(len(b)-1-n) || tag <= last {
			return token.Record{}, fmt.Errorf("%w: malformed fields", ErrDamaged)
		}
		value := b[1+n : 1+n+int(size)]
		if err := setField(&r, tag, value); err != nil {
			return token.Record{}, err
		}
		last, b = tag, b[1+n+int(size):]
	}
	return r, nil
}

func setField(r *token.Record, tag byte, v []byte) (err error) {
	switch tag {
	case tagAccessToken:
		r.AccessToken = token.NewSecret(string(v))
	case tagTokenType:
		r.TokenType = string(v)
	case tagScope:
		r.Scope = string(v)
	case tagIssuedAt:
		r.IssuedAt, err = parseTime(v)
	case tagExpiresAt:
		r.ExpiresAt, err = parseTime(v)
	case tagRefreshToken:
		r.RefreshToken = token.NewSecret(string(v))
	case tagBinding:
		r.Binding = string(v)
	case tagSeed:
		err = exactly(v, sha256.Size, func() { r.Seed = [sha256.Size]byte(v) })
	case tagIntent:
		r.Intent, err = parseIntent(v)
	case tagRotation:
		err = exactly(v, 1, func() { r.Rotation = token.Rotation(v[0]) })
	case tagCold:
		r.Cold = true
	case tagNotified:
		err = exactly(v, 8, func() { r.Notified = binary.BigEndian.Uint64(v) })
	}
	return err
}

func parseIntent(v []byte) (*token.Intent, error) {
	if len(v) != intentSize {
		return nil, fmt.Errorf("%w: intent of %d bytes", ErrDamaged, len(v))
	}
	started, err := parseTime(v[8+sha256.Size:])
	return &token.Intent{
		Attempt: int(binary.BigEndian.Uint64(v)),
		Spent:   [sha256.Size]byte(v[8:]),
		Started: started,
	}, err
}

func parseTime(v []byte) (t time.Time, err error) {
	err = exactly(v, timeSize, func() {
		t = time.Unix(int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint32(v[8:]))).UTC()
	})
	return t, err
}

func exactly(v []byte, size int, set func()) error {
	if len(v) != size {
		return fmt.Errorf("%w: field of %d bytes, want %d", ErrDamaged, len(v), size)
	}
	set()
	return nil
}
