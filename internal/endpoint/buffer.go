package endpoint

import "sync"

// buffer is a byte slice that is used again. It holds secrets, so that release
// clears it.
type buffer struct{ b []byte }

var buffers = sync.Pool{New: func() any { return &buffer{b: make([]byte, 0, 4096)} }}

// keptBuffer bounds what a released buffer may keep: a few huge answers must
// not stay in memory.
const keptBuffer = 64 << 10

func getBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() {
	clear(b.b[:cap(b.b)])
	if cap(b.b) > keptBuffer {
		return
	}
	b.b = b.b[:0]
	buffers.Put(b)
}
