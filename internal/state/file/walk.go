package file

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// walk visits every entry of every bucket below root. It goes on after a fault,
// leaving out what is behind it, and returns the faults joined.
func (m *image) walk(root uint64, v visit) error {
	var faults faults
	buckets := 0
	m.walkPage(root, 0, bounds{}, &faults, func(e element) {
		if e.flags != elementIsBucket || len(e.value) < bucketHeader || !isBucket(e.key) {
			faults.add(fmt.Errorf("%q is no bucket of ours", e.key))
			return
		}
		buckets++
		name := string(e.key)
		entry := func(e element) {
			if e.flags != 0 {
				faults.add(fmt.Errorf("unexpected kind %d of entry in %q", e.flags, name))
				return
			}
			v(name, e.key, e.value)
		}
		if id := native.Uint64(e.value); id != 0 {
			m.walkPage(id, maxLevel, bounds{}, &faults, entry)
			return
		}
		m.walkInline(e.value[bucketHeader:], &faults, entry)
	})
	if buckets != len(bucketNames) {
		faults.add(fmt.Errorf("%d buckets instead of %d", buckets, len(bucketNames)))
	}
	return faults.err()
}

func isBucket(name []byte) bool {
	return slices.ContainsFunc(bucketNames[:], func(b []byte) bool { return bytes.Equal(b, name) })
}

// walkInline visits a bucket so small that it lies within its parent's page.
func (m *image) walkInline(b []byte, faults *faults, v func(element)) {
	p, err := parsePage(b)
	if err == nil && p.branch {
		err = errors.New("a branch page within a page")
	}
	if err != nil {
		faults.add(err)
		return
	}
	for _, e := range p.elements {
		v(e)
	}
}

// bounds are the keys that a page may hold: from low, which is its first, to
// below high. nil is no bound.
type bounds struct{ low, high []byte }

func (m *image) walkPage(id uint64, level int, within bounds, faults *faults, v func(element)) {
	b, err := m.page(id, inTree, level)
	if err != nil {
		faults.add(err)
		return
	}
	p, err := parsePage(b)
	if err == nil {
		err = p.check(level, within)
	}
	if err != nil {
		faults.add(fmt.Errorf("page %d: %w", id, err))
		return
	}
	for i, e := range p.elements {
		if !p.branch {
			v(e)
			continue
		}
		child := bounds{low: e.key, high: within.high}
		if i+1 < len(p.elements) {
			child.high = p.elements[i+1].key
		}
		m.walkPage(e.child, level+1, child, faults, v)
	}
}

func (p *page) check(level int, within bounds) error {
	switch {
	case level == maxLevel-1 || level == 2*maxLevel-1:
		return errors.New("too deep a tree")
	case len(p.elements) == 0:
		if within.low != nil || p.branch {
			return errors.New("empty")
		}
		return nil
	case within.low != nil && !bytes.Equal(p.elements[0].key, within.low),
		within.high != nil && bytes.Compare(p.elements[len(p.elements)-1].key, within.high) >= 0:
		return errors.New("keys of another page")
	}
	return nil
}

// faults keeps the first few.
type faults struct {
	errs []error
	more int
}

func (f *faults) add(err error) {
	if len(f.errs) < 3 {
		f.errs = append(f.errs, err)
		return
	}
	f.more++
}

func (f *faults) err() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, fmt.Errorf("and %d more faults", f.more))...)
	}
	return errors.Join(f.errs...)
}
