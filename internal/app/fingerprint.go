package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"maps"
	"slices"
	"time"

	"github.com/tokend-project/tokend/internal/refresher"
	"github.com/tokend-project/tokend/internal/token"
)

// printer makes fingerprints of parts of a configuration. They are keyed, so
// that a client secret in one cannot be guessed from it without the salt. Not
// safe for concurrent use.
type printer struct {
	mac    hash.Hash
	size   [8]byte
	blocks map[any]string // what was printed of blocks that many share
}

func newPrinter(salt []byte) *printer {
	return &printer{mac: hmac.New(sha256.New, salt), blocks: map[any]string{}}
}

// begin starts a fingerprint of the kind of thing that what names.
func (p *printer) begin(what string) *printer {
	p.mac.Reset()
	return p.str(what)
}

func (p *printer) str(values ...string) *printer {
	for _, v := range values {
		binary.BigEndian.PutUint64(p.size[:], uint64(len(v)))
		p.mac.Write(p.size[:])
		p.mac.Write([]byte(v))
	}
	return p
}

func (p *printer) secret(s token.Secret) *printer { return p.str(s.Reveal()) }

func (p *printer) secrets(m map[string]token.Secret) *printer {
	p.num(int64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		p.str(k).secret(m[k])
	}
	return p
}

func (p *printer) strs(m map[string]string) *printer {
	p.num(int64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		p.str(k, m[k])
	}
	return p
}

func (p *printer) num(values ...int64) *printer {
	for _, v := range values {
		binary.BigEndian.PutUint64(p.size[:], uint64(v))
		p.mac.Write(p.size[:])
	}
	return p
}

func (p *printer) dur(values ...time.Duration) *printer {
	for _, v := range values {
		p.num(int64(v))
	}
	return p
}

// any is for plain values without secrets and without maps.
func (p *printer) any(v any) *printer { return p.str(fmt.Sprintf("%#v", v)) }

// block is any for what there is to say of a block that many share.
func (p *printer) block(b any, what func() any) *printer {
	text, ok := p.blocks[b]
	if !ok {
		text = fmt.Sprintf("%#v", what())
		p.blocks[b] = text
	}
	return p.str(text)
}

func (p *printer) sum() refresher.Fingerprint {
	var b [sha256.Size]byte
	return refresher.Fingerprint(p.mac.Sum(b[:0])[:16])
}
