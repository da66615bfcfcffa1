package page

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/tokend-project/tokend/internal/token"
)

const (
	lookEvery  = time.Second
	maxReaders = 32
	maxRecent  = 8    // deltas that are kept for readers who are a little late
	maxChanges = 1000 // in one delta; above, readers fetch all of it anew
)

// feed finds out what has changed, for all readers together. It compares statuses
// at most once a lookEvery, and only while somebody reads; between that it holds
// nothing. It is safe for concurrent use.
type feed struct {
	source Source

	mu       sync.Mutex
	readers  int
	revision uint64
	looked   time.Time
	daemon   []byte
	last     []token.Status
	recent   []delta // the newest last
}

// delta is what changed with one revision; nothing in it means all of it.
type delta struct {
	revision uint64
	message  []byte
}

func newFeed(s Source) *feed { return &feed{source: s, revision: 1} }

// now returns the current revision.
func (f *feed) now() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.revision
}

// join admits a reader, who must leave. It returns false when there are too many.
func (f *feed) join() (revision uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readers >= maxReaders {
		return 0, false
	}
	f.readers++
	if f.readers == 1 {
		var d daemon
		d, f.last = snapshot(f.source)
		f.daemon, f.looked = encode(d), time.Now()
		f.revision++
	}
	return f.revision, true
}

func (f *feed) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers--
	if f.readers == 0 {
		f.last, f.daemon, f.recent = nil, nil, nil
	}
}

// since returns the messages that came after a revision, and the revision that
// they lead to.
func (f *feed) since(revision uint64) (messages [][]byte, now uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.looked) >= lookEvery*9/10 { // readers' clocks do not tick together
		f.look()
	}
	if f.revision == revision {
		return nil, revision
	}
	if len(f.recent) == 0 || f.recent[0].revision > revision+1 {
		return [][]byte{reset(f.revision)}, f.revision
	}
	for _, d := range f.recent {
		if d.revision > revision {
			messages = append(messages, d.message)
		}
	}
	return messages, f.revision
}

// change is a delta as it is sent.
type change struct {
	Revision uint64         `json:"revision"`
	Now      time.Time      `json:"now"`
	Daemon   *daemon        `json:"daemon,omitempty"`
	Changed  []token.Status `json:"changed"`
	Removed  []string       `json:"removed"`
}

// look compares the statuses with the last ones, with the lock held.
func (f *feed) look() {
	d, all := snapshot(f.source)
	f.looked = time.Now()
	c := change{Revision: f.revision + 1, Now: f.looked, Changed: []token.Status{}, Removed: []string{}}
	c.compare(f.last, all)
	f.last = all
	if text := encode(d); !bytes.Equal(text, f.daemon) {
		c.Daemon, f.daemon = &d, text
	}
	if len(c.Changed)+len(c.Removed) == 0 && c.Daemon == nil {
		return
	}
	f.revision = c.Revision
	message := reset(f.revision)
	if len(c.Changed)+len(c.Removed) <= maxChanges {
		message = event("change", encode(c))
	}
	f.recent = append(f.recent, delta{f.revision, message})
	if len(f.recent) > maxRecent {
		f.recent = append([]delta(nil), f.recent[1:]...)
	}
}

// compare walks two lists that are sorted by name.
func (c *change) compare(was, is []token.Status) {
	i := 0
	for j := range is {
		for i < len(was) && strings.Compare(was[i].Name, is[j].Name) < 0 {
			c.Removed = append(c.Removed, was[i].Name)
			i++
		}
		if i < len(was) && was[i].Name == is[j].Name {
			i++
			if same(&was[i-1], &is[j]) {
				continue
			}
		}
		c.Changed = append(c.Changed, is[j])
	}
	for ; i < len(was); i++ {
		c.Removed = append(c.Removed, was[i].Name)
	}
}

func reset(revision uint64) []byte {
	return event("reset", encode(map[string]any{"revision": revision, "now": time.Now()}))
}

// event is a message of the stream; JSON has no line breaks.
func event(name string, data []byte) []byte {
	return []byte("event: " + name + "\ndata: " + string(data) + "\n\n")
}

// encode never fails: what is sent has no type that JSON does not know.
func encode(v any) []byte {
	text, _ := json.Marshal(v)
	return text
}
