package file

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tokend-project/tokend/internal/token"
)

// sample is a database with a history: most of its pages are older versions of
// others, and every record's generation tells whether it is the current one.
type sample struct {
	bytes []byte
	pages int
	names []string
	last  map[string]uint64
	o     Options
}

func newSample(t *testing.T, key token.Secret) *sample {
	t.Helper()
	o := Options{Dir: memoryDir(t), Key: key}
	s := mustOpen(t, o)
	sm := &sample{last: make(map[string]uint64), o: o}
	for i := range 100 {
		sm.names = append(sm.names, fmt.Sprintf("token-%03d", i))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		var all sync.WaitGroup
		for _, i := range random.Perm(len(sm.names))[:1+random.IntN(20)] {
			name := sm.names[i]
			sm.last[name]++
			g := sm.last[name]
			all.Go(func() { mustSave(t, s, name, g) })
		}
		all.Wait()
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(o.Dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	image := readImage(bytes.NewReader(b), int64(len(b)))
	if err := image.verify(); err != nil {
		t.Fatalf("a sound database does not pass: %v", err)
	}
	sm.bytes, sm.pages = b, int(image.metas[0].pages)
	return sm
}

func (sm *sample) image() *image { return readImage(bytes.NewReader(sm.bytes), int64(len(sm.bytes))) }

// memoryDir is for the many cases in which what a disk does is of no interest.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tokend-state-")
	if err != nil {
		return newDir(t)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// open opens a damaged copy and fails the test if any record that is loaded is
// not the last one saved. It returns how many were lost.
func (sm *sample) open(t *testing.T, damaged []byte) (lost int) {
	t.Helper()
	o := sm.o
	o.Dir = memoryDir(t)
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, databaseName), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range sm.names {
		r, err := s.Load(t.Context(), name)
		switch {
		case errors.Is(err, token.ErrNoRecord):
			if sm.last[name] != 0 {
				lost++
			}
		case err != nil:
			t.Fatal(err)
		case r.Generation != sm.last[name]:
			t.Fatalf("%s: generation %d was loaded, %d was saved last", name, r.Generation, sm.last[name])
		}
	}
	mustSave(t, s, "new", 1)
	wantGeneration(t, s, "new", 1)
	sm.wantKept(t, o.Dir, damaged, lost)
	return lost
}

// wantKept fails the test unless what was lost is still there for a person to
// look at: the whole file, or the record in quarantine.
func (sm *sample) wantKept(t *testing.T, dir string, damaged []byte, lost int) {
	t.Helper()
	aside, _ := filepath.Glob(filepath.Join(dir, databaseName+".corrupt-*"))
	if len(aside) > 1 || len(aside) == 0 && lost > 1 && len(damaged) > 0 {
		t.Fatalf("%d records lost, files kept: %q", lost, aside)
	}
	for _, path := range aside {
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, damaged) {
			t.Fatalf("the damaged file was not kept as it was (%v)", err)
		}
	}
}

// perPage is how many records can go with one page.
const perPage = 16

func TestFlippedBitAnywhere(t *testing.T) {
	for _, key := range []token.Secret{{}, testKey} {
		sm := newSample(t, key)
		random := rand.New(rand.NewPCG(3, 4))
		offsets := make([]int, 0, 500)
		for i := range 80 { // the meta pages, and with them what decides which tree is the newest
			offsets = append(offsets, i, 4096+i)
		}
		root := int(sm.image().metas[0].root) * 4096
		for i := range 160 { // the names of the buckets, and where they begin
			offsets = append(offsets, root+i)
		}
		for range 80 {
			offsets = append(offsets, random.IntN(sm.pages*4096))
		}
		for _, at := range offsets {
			damaged := bytes.Clone(sm.bytes)
			damaged[at] ^= 1 << random.IntN(8)
			if lost := sm.open(t, damaged); lost > 2*perPage && !sm.isRoot(at/4096) || at < 2*4096 && lost > 0 {
				t.Errorf("a bit of byte %d of page %d lost %d records", at%4096, at/4096, lost)
			}
		}
	}
}

func TestTruncatedAnywhere(t *testing.T) {
	sm := newSample(t, testKey)
	sizes := []int{0, 1, 16, 79, 80, 4095, 4096, 4097, 8191, 8192, 3 * 4096, sm.pages * 4096, sm.pages*4096 - 1}
	random := rand.New(rand.NewPCG(5, 6))
	for range 60 {
		sizes = append(sizes, random.IntN(sm.pages*4096))
	}
	for _, size := range sizes {
		if lost := sm.open(t, sm.bytes[:size]); size == sm.pages*4096 && lost > 0 {
			t.Errorf("%d records lost with a tail that was never used", lost)
		}
	}
}

// TestLostMetaPage: the tree that the other meta page points to is complete,
// reads well, and is one transaction old.
func TestLostMetaPage(t *testing.T) {
	sm := newSample(t, testKey)
	for _, zeroed := range [][]int{{0}, {1}, {0, 1}} {
		damaged := bytes.Clone(sm.bytes)
		for _, page := range zeroed {
			clear(damaged[page*4096 : (page+1)*4096])
		}
		if lost := sm.open(t, damaged); lost > 0 {
			t.Errorf("%d records lost with meta page %v", lost, zeroed)
		}
	}
}

// TestWildWrites puts pages where they do not belong: zeroes, noise, older
// pages with their own number or with that of the page they replace.
func TestWildWrites(t *testing.T) {
	sm := newSample(t, testKey)
	random := rand.New(rand.NewPCG(7, 8))
	pick := func() int { return 2 + random.IntN(sm.pages-2) }
	page := func(b []byte, i int) []byte { return b[i*4096 : (i+1)*4096] }
	for what, write := range map[string]func(b []byte, at int){
		"zeroes":     func(b []byte, at int) { clear(page(b, at)) },
		"all ones":   func(b []byte, at int) { copy(page(b, at), bytes.Repeat([]byte{0xff}, 4096)) },
		"other page": func(b []byte, at int) { copy(page(b, at), page(b, pick())) },
		"noise": func(b []byte, at int) {
			for i := range page(b, at) {
				page(b, at)[i] = byte(random.Uint32())
			}
		},
		"head of another page": func(b []byte, at int) { copy(page(b, at)[8:128], page(b, pick())[8:128]) },
		"torn":                 func(b []byte, at int) { clear(page(b, at)[random.IntN(4096):]) },
	} {
		for range 25 {
			damaged := bytes.Clone(sm.bytes)
			at := pick()
			write(damaged, at)
			if lost := sm.open(t, damaged); lost > 2*perPage && !sm.isRoot(at) {
				t.Errorf("%s on page %d lost %d records", what, at, lost)
			}
		}
	}
}

// isRoot reports whether the tree hangs on the page: losing it loses all.
func (sm *sample) isRoot(id int) bool {
	b := sm.bytes[id*4096:]
	return uint64(id) == sm.image().metas[0].root || native.Uint16(b[8:]) == flagBranch && native.Uint64(b) == uint64(id)
}

// TestPointerToAnOlderPage: a branch whose pointer is off leads to a page that
// passes every check of its own and has records of the same names.
func TestPointerToAnOlderPage(t *testing.T) {
	sm := newSample(t, testKey)
	tried := 0
	for branch := 2; branch < sm.pages; branch++ {
		b := sm.bytes[branch*4096 : (branch+1)*4096]
		p, err := parsePage(b)
		if err != nil || !p.branch {
			continue
		}
		for i, e := range p.elements {
			for _, old := range sm.pagesThatBeginWith(e.key) {
				if old == e.child {
					continue
				}
				damaged := bytes.Clone(sm.bytes)
				native.PutUint64(damaged[branch*4096+pageHeader+i*elementSize+8:], old)
				sm.open(t, damaged)
				tried++
			}
		}
		if tried > 200 {
			break
		}
	}
	if tried == 0 {
		t.Fatal("the sample has no older version of any page")
	}
}

func (sm *sample) pagesThatBeginWith(key []byte) (ids []uint64) {
	for id := 2; id < sm.pages; id++ {
		p, err := parsePage(sm.bytes[id*4096 : (id+1)*4096])
		if err == nil && !p.branch && len(p.elements) > 0 && bytes.Equal(p.elements[0].key, key) {
			ids = append(ids, uint64(id))
		}
	}
	return ids
}

// TestForeignFile: whatever lies where the database should be is kept.
func TestForeignFile(t *testing.T) {
	sm := newSample(t, testKey)
	for _, content := range []string{"not a database", strings.Repeat("\x00", 1<<16), strings.Repeat("x", 1<<20)} {
		sm.open(t, []byte(content))
	}
}

// TestDamageUnderARunningDaemon overwrites pages of the mapped file.
func TestDamageUnderARunningDaemon(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	for range 15 {
		sm := newSample(t, testKey)
		s := mustOpen(t, sm.o)
		f, err := os.OpenFile(filepath.Join(sm.o.Dir, databaseName), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		noise := make([]byte, 4096)
		for range 3 {
			for i := range noise {
				noise[i] = byte(random.Uint32())
			}
			if _, err := f.WriteAt(noise, int64(2+random.IntN(sm.pages-2))*4096); err != nil {
				t.Fatal(err)
			}
		}
		_ = f.Close()
		for i, name := range sm.names {
			if i%7 == 0 {
				_ = s.Save(t.Context(), "other", generationOf(1)) // may fail once; what counts is below
			}
			r, err := s.Load(t.Context(), name)
			if err == nil && r.Generation != sm.last[name] {
				t.Fatalf("%s: generation %d was loaded, %d was saved last", name, r.Generation, sm.last[name])
			}
		}
		mustSave(t, s, "after", 7)
		_ = s.Close()
		wantGeneration(t, mustOpen(t, sm.o), "after", 7)
	}
}
