package state

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
)

const sealedHeader = headerSize + len(KeyID{})

// SealedWith returns the id of the key that b, an encoded record, is sealed
// with; ok is false when it is not sealed. It does not prove b undamaged.
func SealedWith(b []byte) (id KeyID, ok bool) {
	if len(b) < sealedHeader || b[0] != version || b[1] != sealed {
		return KeyID{}, false
	}
	return KeyID(b[headerSize:sealedHeader]), true
}

// aead gives every name a key of its own. Nonces are random, and a key may be
// used with at most 2³² of them (NIST SP 800-38D section 8.3); a fleet of
// 10,000 tokens would get there within months, a single token never does.
func (c *Codec) aead(name string) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, c.root, "record "+name, 32)
	if err != nil {
		return nil, fmt.Errorf("deriving a record's key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("setting up a record's key: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (c *Codec) seal(name string, generation uint64, fields []byte) ([]byte, error) {
	aead, err := c.aead(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, sealedHeader, sealedHeader+len(fields)+aead.Overhead())
	putHeader(b, sealed, generation)
	copy(b[headerSize:], c.id[:])
	return aead.Seal(b, nil, fields, bound(b, name)), nil
}

func (c *Codec) unseal(name string, b []byte) ([]byte, error) {
	id, ok := SealedWith(b)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: truncated", ErrDamaged)
	case c.root == nil:
		return nil, fmt.Errorf("the record is sealed, and there is no %w", ErrKey)
	case !bytes.Equal(id[:], c.id[:]):
		return nil, fmt.Errorf("the record is sealed with another %w", ErrKey)
	}
	aead, err := c.aead(name)
	if err != nil {
		return nil, err
	}
	fields, err := aead.Open(nil, nil, b[sealedHeader:], bound(b[:sealedHeader], name))
	if err != nil {
		return nil, fmt.Errorf("%w: seal does not match", ErrDamaged)
	}
	return fields, nil
}
