package file

import (
	"errors"
	"fmt"
	"hash/fnv"
)

// meta is what bbolt keeps twice: where the newest tree begins.
type meta struct {
	pageSize int64
	root     uint64
	freelist uint64
	pages    uint64 // the first page id that was never used
	tx       uint64
}

func (m *image) readMeta(id int64) (meta, bool) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := m.r.ReadAt(b, id*m.pageSize); err != nil {
		return meta{}, false
	}
	if native.Uint64(b) != uint64(id) || native.Uint16(b[8:]) != flagMeta {
		return meta{}, false
	}
	b = b[pageHeader:]
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	if native.Uint32(b) != magic || native.Uint32(b[4:]) != layout ||
		int64(native.Uint32(b[8:])) != m.pageSize || native.Uint64(b[metaSize-8:]) != h.Sum64() {
		return meta{}, false
	}
	return meta{
		pageSize: m.pageSize,
		root:     native.Uint64(b[16:]),
		freelist: native.Uint64(b[32:]),
		pages:    native.Uint64(b[40:]),
		tx:       native.Uint64(b[48:]),
	}, true
}

// untouched reports an error unless tx is still the last transaction. Before it
// writes, bbolt believes the list of free pages in its mapped file: one that
// somebody has overwritten since could make it count to four billion.
func (m *image) untouched(tx uint64) error {
	if len(m.metas) < metaPages || m.metas[0].tx != tx {
		return errors.New("the database was written by somebody else")
	}
	var head [pageHeader]byte
	list := m.metas[0].freelist
	if _, err := m.r.ReadAt(head[:], int64(list)*m.pageSize); err != nil {
		return fmt.Errorf("reading the list of free pages: %w", err)
	}
	if native.Uint64(head[:]) != list || native.Uint16(head[8:]) != flagFreelist ||
		uint64(native.Uint32(head[12:])) >= m.metas[0].pages {
		return errors.New("the list of free pages was overwritten by somebody else")
	}
	return nil
}
