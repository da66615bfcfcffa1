package vault

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tokend-project/tokend/internal/sinks"
	"github.com/tokend-project/tokend/internal/token"
)

// Limits of custom metadata, which Vault has fixed.
const (
	maxCustom      = 64
	maxCustomKey   = 128 // bytes
	maxCustomValue = 512 // bytes
)

// digest names a content without keeping it.
type digest [sha256.Size]byte

// content is what the entry is to hold.
type content struct {
	data   map[string]any
	sum    digest
	custom map[string]string
	fresh  bool // the token is younger than the sink, so no earlier process wrote it
}

func (s *Sink) render(t token.Token) (content, error) {
	text, err := render(s.o.Data, t)
	if err != nil {
		return content{}, err
	}
	c := content{data: make(map[string]any, len(text)), fresh: t.IssuedAt.After(s.made.Add(-time.Second))}
	for key, value := range text {
		c.data[key] = value
	}
	c.sum = digestOf(c.data)
	t.AccessToken = token.Secret{}
	if c.custom, err = render(s.o.Metadata, t); err != nil {
		return content{}, fmt.Errorf("metadata: %w", err)
	}
	for key, value := range c.custom {
		if len(value) > maxCustomValue {
			return content{}, fmt.Errorf("metadata %q: %d bytes, Vault takes %d", key, len(value), maxCustomValue)
		}
	}
	return c, nil
}

func render(formats map[string]sinks.Format, t token.Token) (map[string]string, error) {
	out := make(map[string]string, len(formats))
	for key, format := range formats {
		value, err := format.Render(t)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		if !utf8.Valid(value) {
			return nil, fmt.Errorf("%q: %w", key, errNoText)
		}
		out[key] = string(value)
	}
	return out, nil
}

var errNoText = errors.New("it is no UTF-8 text, which is all that an entry can hold; encode it with base64")

// digestOf is zero for a content that no sink can have written.
func digestOf(data map[string]any) digest {
	h := sha256.New()
	field := func(s string) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(s)))
		h.Write(size[:])
		h.Write([]byte(s))
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		value, ok := data[key].(string)
		if !ok {
			return digest{}
		}
		field(key)
		field(value)
	}
	if len(data) == 0 {
		return digest{}
	}
	return digest(h.Sum(nil))
}
