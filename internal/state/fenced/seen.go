package fenced

// seen is what the store knows of an entry, by its last write or read.
type seen[V any] struct {
	known  bool
	fenced bool // another owner wrote; nothing is written before the next Load
	at     Mark[V]
	pieces []string
	gone   bool

	// open are the writes whose outcome is not known: by their ids, what they
	// leave, with no id where that is nothing. They can land as long as the entry
	// is what it was when they were sent.
	open map[string]Sum
}

// verdict is what an entry that was read means to who wanted to write it.
type verdict uint8

const (
	unchanged verdict = iota // nobody wrote since
	own                      // a write of this store, whose outcome was open, has landed
	foreign                  // another owner wrote or deleted it
)

// judge compares what is there with what is known.
func (n *seen[V]) judge(place Place[V], now Mark[V]) verdict {
	if place.Still(n.at, now) {
		return unchanged
	}
	if sum, ok := n.open[now.Write]; ok && sum == now.Sum {
		return own
	}
	return foreign
}

// adopt takes what is there for what the next write replaces.
func (n *seen[V]) adopt(o Entry[V]) {
	n.known, n.fenced = true, false
	n.at, n.pieces, n.gone = o.Mark, o.Pieces, o.Gone
}

// landed notes a write of ours that is known to have taken effect: no earlier one
// can any more.
func (n *seen[V]) landed(o Entry[V]) {
	n.adopt(o)
	n.open = nil
}

// maxOpen is far more than there ever are: each is a Save that failed.
const maxOpen = 64

func (n *seen[V]) leaveOpen(m Mark[V]) {
	if n.open == nil || len(n.open) >= maxOpen {
		n.open = make(map[string]Sum)
	}
	n.open[m.Write] = m.Sum
}
