package file

import "slices"

// salvage visits every entry of a damaged database that is provably current,
// and returns the faults it met.
func (m *image) salvage(v visit) error {
	root, pages := m.newestRoot()
	if root == 0 {
		return nil
	}
	if err := m.begin(pages); err != nil {
		return err
	}
	// A page that is on the list of free ones is an old version, however well
	// it reads, and whatever points to it.
	if len(m.metas) > 0 && root == m.metas[0].root {
		if err := m.readFreelist(m.metas[0].freelist); err != nil {
			clear(m.uses)
		}
	}
	return m.walk(root, v)
}

// newestRoot returns the page that the newest tree begins at, 0 when that
// cannot be told, and how many pages to look at.
//
// With both meta pages it is simple. A meta page that is lost was either the
// newest or the one before; and a tree that is older by one transaction reads
// well, but has refresh tokens that were spent since. So the newest root is
// looked for among all pages, by the number that [stamp] leaves there: one
// transaction, the next one, can have been committed after the meta page that
// is left. A page of it that a failed attempt left behind cannot be told from
// the one that was committed, so when there are two there is none.
func (m *image) newestRoot() (root, pages uint64) {
	pages = uint64(max(0, m.size/m.pageSize))
	if len(m.metas) == metaPages {
		return m.metas[0].root, min(pages, m.metas[0].pages)
	}
	stamps := m.stampedRoots(pages)
	if len(m.metas) == 0 {
		return unique(stamps, slices.Max(append(keys(stamps), 0))), pages
	}
	left := m.metas[0]
	switch next := stamps[left.tx+1]; len(next) {
	case 0:
		return left.root, min(pages, left.pages)
	case 1:
		return next[0], pages
	}
	return 0, 0
}

func keys(stamps map[uint64][]uint64) []uint64 {
	var out []uint64
	for tx := range stamps {
		out = append(out, tx)
	}
	return out
}

func unique(stamps map[uint64][]uint64, tx uint64) uint64 {
	if ids := stamps[tx]; len(ids) == 1 {
		return ids[0]
	}
	return 0
}

// stampedRoots returns the pages that read like the root of a tree, by the
// number of the transaction that wrote them.
func (m *image) stampedRoots(pages uint64) map[uint64][]uint64 {
	roots := make(map[uint64][]uint64)
	b := make([]byte, m.pageSize)
	for id := uint64(metaPages); id < pages; id++ {
		if _, err := m.r.ReadAt(b, int64(id)*m.pageSize); err != nil || native.Uint64(b) != id {
			continue
		}
		p, err := parsePage(b)
		if err != nil || p.branch {
			continue
		}
		for _, e := range p.elements {
			if e.flags == elementIsBucket && string(e.key) == string(recordsBucket) && len(e.value) >= bucketHeader {
				tx := native.Uint64(e.value[8:])
				roots[tx] = append(roots[tx], id)
			}
		}
	}
	return roots
}
