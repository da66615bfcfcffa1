package file

import (
	"bytes"
	"errors"
)

// page is a branch or leaf page of bbolt, parsed.
type page struct {
	branch   bool
	elements []element
}

// element is an entry of a page; it refers to the page's bytes.
type element struct {
	key   []byte
	value []byte // of a leaf
	flags uint32 // of a leaf
	child uint64 // of a branch
}

// parsePage reads a page of either kind. bbolt lays out elements one behind the
// other and without gaps; anything else is damage.
func parsePage(b []byte) (*page, error) {
	if len(b) < pageHeader {
		return nil, errors.New("truncated")
	}
	p := &page{}
	switch native.Uint16(b[8:]) {
	case flagBranch:
		p.branch = true
	case flagLeaf:
	default:
		return nil, errors.New("unknown kind of page")
	}
	count := uint64(native.Uint16(b[10:]))
	next := pageHeader + count*elementSize // where the next element's data begins
	if next > uint64(len(b)) {
		return nil, errors.New("more elements than room")
	}
	p.elements = make([]element, count)
	for i := range p.elements {
		at := pageHeader + uint64(i)*elementSize
		end, ok := p.elements[i].read(p.branch, b, at, next)
		if !ok || i > 0 && bytes.Compare(p.elements[i-1].key, p.elements[i].key) >= 0 {
			return nil, errors.New("malformed element")
		}
		next = end
	}
	return p, nil
}

// read reads the element at byte at, whose data must begin at byte data, and
// returns where they end.
func (e *element) read(branch bool, b []byte, at, data uint64) (end uint64, ok bool) {
	head := b[at : at+elementSize]
	var pos, keySize, valueSize uint64
	if branch {
		pos, keySize = uint64(native.Uint32(head)), uint64(native.Uint32(head[4:]))
		e.child = native.Uint64(head[8:])
	} else {
		e.flags = native.Uint32(head)
		pos, keySize = uint64(native.Uint32(head[4:])), uint64(native.Uint32(head[8:]))
		valueSize = uint64(native.Uint32(head[12:]))
	}
	end = data + keySize + valueSize
	if at+pos != data || keySize == 0 || end > uint64(len(b)) {
		return 0, false
	}
	e.key, e.value = b[data:data+keySize:data+keySize], b[data+keySize:end:end]
	return end, true
}
