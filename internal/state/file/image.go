package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The layout of bbolt's file, version 2, in the machine's byte order.
const (
	magic       = 0xED0CDAED
	layout      = 2
	pageHeader  = 16 // id 8, flags 2, count 2, overflow 4
	elementSize = 16
	metaSize    = 64
	metaPages   = 2

	flagBranch   = 0x01
	flagLeaf     = 0x02
	flagMeta     = 0x04
	flagFreelist = 0x10

	elementIsBucket = 0x01
	bucketHeader    = 16 // root page 8, sequence 8
	noFreelist      = ^uint64(0)
	manyIDs         = 0xFFFF // then the true count is the first element

	maxLevel = 16 // of the tree of buckets; those of a bucket follow it
)

// native is the byte order that bbolt writes in.
var native = binary.NativeEndian

// use says what a page was found to be.
type use uint8

const (
	unknown use = iota
	inTree
	isFree
	isFreelist
)

// image is a database file that is read, page by page, without being mapped and
// without being believed.
type image struct {
	r        io.ReaderAt
	size     int64
	pageSize int64
	metas    []meta // the valid ones, newest first
	uses     []use  // by page id
	levels   [][]byte
}

func readImage(r io.ReaderAt, size int64) *image {
	m := &image{r: r, size: size}
	for _, pageSize := range [...]int64{4096, 8192, 16384, 32768, 65536, 2048, 1024} {
		m.pageSize = pageSize
		m.metas = nil
		for id := range int64(metaPages) {
			if found, ok := m.readMeta(id); ok {
				m.metas = append(m.metas, found)
			}
		}
		if len(m.metas) > 0 {
			break
		}
	}
	if len(m.metas) == 0 {
		m.pageSize = 4096
	}
	if len(m.metas) == 2 && m.metas[1].tx > m.metas[0].tx {
		m.metas[0], m.metas[1] = m.metas[1], m.metas[0]
	}
	return m
}

// visit receives one entry of a bucket. The bytes are good until it returns.
type visit func(bucket string, key, value []byte)

// verify reports the first thing that is wrong with the database: that every
// page is reached exactly once, or free, or the list of the free ones; that
// keys ascend; that nothing points outside. It trusts no number it reads.
func (m *image) verify() error {
	if len(m.metas) < metaPages {
		return errors.New("a meta page is damaged")
	}
	newest := m.metas[0]
	if err := m.begin(newest.pages); err != nil {
		return err
	}
	if err := m.readFreelist(newest.freelist); err != nil {
		return err
	}
	if err := m.walk(newest.root, func(string, []byte, []byte) {}); err != nil {
		return err
	}
	for id, u := range m.uses {
		if u == unknown {
			return fmt.Errorf("page %d is neither used nor free", id)
		}
	}
	return nil
}

// begin forgets what pages were found to be.
func (m *image) begin(pages uint64) error {
	if pages < metaPages+2 || int64(pages) < 0 || int64(pages) > m.size/m.pageSize {
		return fmt.Errorf("%d pages in a file of %d bytes", pages, m.size)
	}
	m.uses = make([]use, pages)
	m.uses[0], m.uses[1] = inTree, inTree
	return nil
}

func (m *image) mark(id, n uint64, u use) error {
	if id < metaPages || n == 0 || id > uint64(len(m.uses)) || n > uint64(len(m.uses))-id {
		return fmt.Errorf("page %d is outside the file", id)
	}
	for i := id; i < id+n; i++ {
		if m.uses[i] != unknown {
			return fmt.Errorf("page %d is used twice", i)
		}
		m.uses[i] = u
	}
	return nil
}

// page reads a page with its overflow and claims it. The bytes are good until
// the next page of the same level is read.
func (m *image) page(id uint64, u use, level int) ([]byte, error) {
	if id < metaPages || id >= uint64(len(m.uses)) {
		return nil, fmt.Errorf("page %d is outside the file", id)
	}
	b, err := m.read(id, 1, level)
	if err != nil {
		return nil, err
	}
	if native.Uint64(b) != id {
		return nil, fmt.Errorf("page %d calls itself %d", id, native.Uint64(b))
	}
	n := uint64(native.Uint32(b[12:])) + 1
	if err := m.mark(id, n, u); err != nil || n == 1 {
		return b, err
	}
	return m.read(id, n, level)
}

// read reads n pages into the buffer of a level. A file is as large as a fleet,
// so one buffer a level keeps the check of it from growing the process.
func (m *image) read(id, n uint64, level int) ([]byte, error) {
	for len(m.levels) <= level {
		m.levels = append(m.levels, nil)
	}
	size := int(n) * int(m.pageSize)
	m.levels[level] = slices.Grow(m.levels[level][:0], size)[:size]
	b := m.levels[level]
	if _, err := m.r.ReadAt(b, int64(id)*m.pageSize); err != nil {
		return nil, fmt.Errorf("reading page %d: %w", id, err)
	}
	return b, nil
}

func (m *image) readFreelist(id uint64) error {
	if id == noFreelist {
		return errors.New("the list of free pages is missing")
	}
	b, err := m.page(id, isFreelist, 0)
	if err != nil {
		return err
	}
	if native.Uint16(b[8:]) != flagFreelist {
		return fmt.Errorf("page %d is no list of free pages", id)
	}
	count, ids := uint64(native.Uint16(b[10:])), b[pageHeader:]
	if count == manyIDs {
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("page %d lists more pages than it has room for", id)
	}
	for i := range count {
		if err := m.mark(native.Uint64(ids[8*i:]), 1, isFree); err != nil {
			return err
		}
	}
	return nil
}
