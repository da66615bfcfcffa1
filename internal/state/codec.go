package state

import (
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"

	"github.com/tokend-project/tokend/internal/token"
)

// The encoded record, version 1:
//
//	byte  0      version, 1
//	byte  1      1 when sealed, else 0
//	bytes 2–9    generation, big endian
//	unsealed:    16 bytes SHA-256 of domain, header, name and fields; fields
//	sealed:      8 bytes key id; 12 bytes nonce; AES-256-GCM of the fields with
//	             domain, header (key id included) and name as associated data
//
// So a record that was moved to another name, or whose generation was altered,
// does not open, and neither does one that lost a bit.
const (
	version     = 1
	plain       = 0
	sealed      = 1
	headerSize  = 10
	sumSize     = 16
	domain      = "tokend state record v1\x00"
	maxEncoding = 1 << 28 // far above any token endpoint's answer, far below what stores take
)

// MinKeyLength is the length, in bytes, of the shortest state key that is
// accepted. A key is random text, such as 32 random bytes in base64; it is no
// password, and is not stretched like one.
const MinKeyLength = 32

// KeyID names a state key without giving it away. The zero KeyID means that
// there is none.
type KeyID [8]byte

// Codec turns records into bytes and back. It is immutable and safe for
// concurrent use.
type Codec struct {
	root []byte // the extracted key (RFC 5869); nil: records are not sealed
	id   KeyID
}

// NewCodec returns a Codec that seals with key, or, when key is empty, one that
// does not seal. A key shorter than [MinKeyLength] is an error that wraps
// [ErrKey].
func NewCodec(key token.Secret) (*Codec, error) {
	if key.IsEmpty() {
		return &Codec{}, nil
	}
	if n := len(key.Reveal()); n < MinKeyLength {
		return nil, fmt.Errorf("%w is too short: %d bytes, at least %d are needed", ErrKey, n, MinKeyLength)
	}
	root, err := hkdf.Extract(sha256.New, []byte(key.Reveal()), []byte(domain))
	if err != nil {
		return nil, fmt.Errorf("deriving from the %w: %w", ErrKey, err)
	}
	id, err := hkdf.Expand(sha256.New, root, "key id", len(KeyID{}))
	if err != nil {
		return nil, fmt.Errorf("deriving from the %w: %w", ErrKey, err)
	}
	return &Codec{root: root, id: KeyID(id)}, nil
}

// KeyID returns the id of the codec's key, zero when it does not seal.
func (c *Codec) KeyID() KeyID { return c.id }

// Encode returns the bytes of r as they are to be stored under name. They hold
// secrets unless the codec seals.
func (c *Codec) Encode(name string, r token.Record) ([]byte, error) {
	if c.root == nil {
		b := make([]byte, headerSize+sumSize, headerSize+sumSize+fieldsSize(&r))
		putHeader(b, plain, r.Generation)
		b = appendFields(b, &r)
		if len(b) > maxEncoding {
			return nil, fmt.Errorf("encoding the record of %s: %d bytes are too many", name, len(b))
		}
		sum := sumOf(b[:headerSize], name, b[headerSize+sumSize:])
		copy(b[headerSize:], sum[:sumSize])
		return b, nil
	}
	fields := appendFields(make([]byte, 0, fieldsSize(&r)), &r)
	defer clear(fields)
	if len(fields) > maxEncoding {
		return nil, fmt.Errorf("encoding the record of %s: %d bytes are too many", name, len(fields))
	}
	return c.seal(name, r.Generation, fields)
}

// Decode returns the record that Encode made b from under the same name. The
// error wraps [ErrDamaged], or [ErrKey] when the record is sealed with another
// key than the codec's. An unsealed record is read with a key as without.
func (c *Codec) Decode(name string, b []byte) (token.Record, error) {
	if len(b) < headerSize || b[0] != version {
		return token.Record{}, fmt.Errorf("%w: no record of version %d", ErrDamaged, version)
	}
	fields, err := c.open(name, b)
	if err != nil {
		return token.Record{}, err
	}
	r, err := parseFields(fields)
	if err != nil {
		return token.Record{}, err
	}
	r.Generation = binary.BigEndian.Uint64(b[2:])
	return r, nil
}

func (c *Codec) open(name string, b []byte) ([]byte, error) {
	switch b[1] {
	case plain:
		if len(b) < headerSize+sumSize {
			return nil, fmt.Errorf("%w: truncated", ErrDamaged)
		}
		sum := sumOf(b[:headerSize], name, b[headerSize+sumSize:])
		if subtle.ConstantTimeCompare(sum[:sumSize], b[headerSize:headerSize+sumSize]) != 1 {
			return nil, fmt.Errorf("%w: checksum does not match", ErrDamaged)
		}
		return b[headerSize+sumSize:], nil
	case sealed:
		return c.unseal(name, b)
	}
	return nil, fmt.Errorf("%w: unknown encoding %d", ErrDamaged, b[1])
}

func putHeader(b []byte, kind byte, generation uint64) {
	b[0], b[1] = version, kind
	binary.BigEndian.PutUint64(b[2:], generation)
}

// sumOf covers the name too, so that a record under another's name is found out
// without a key as well.
func sumOf(header []byte, name string, fields []byte) [sha256.Size]byte {
	h := sha256.New()
	h.Write(bound(header, name))
	h.Write(fields)
	return [sha256.Size]byte(h.Sum(nil))
}

// bound is what a record's bytes are bound to: this format, the header, the
// name. The header's length follows from its second byte, so that no two
// records share one encoding.
func bound(header []byte, name string) []byte {
	b := make([]byte, 0, len(domain)+len(header)+len(name))
	b = append(b, domain...)
	b = append(b, header...)
	return append(b, name...)
}
