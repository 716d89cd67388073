package faultdisk

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// sector is what a disk writes whole or not at all, in octets.
const sector = 512

// A node is a file or a folder. Those of a disk are guarded by its mu.
type node struct {
	// of a file
	octets  []byte // as it is read
	durable []byte // as of the last sync
	writes  []write

	// of a folder; names is nil for a file
	names        map[string]*node
	durableNames map[string]*node
	changes      []change
}

// A write is one that was not synced: octets at an offset, or another size if
// octets is nil.
type write struct {
	at     int64
	octets []byte
}

// A change is one of names that was not synced: which node each name has then;
// nil: none.
type change map[string]*node

func newFolder() *node {
	return &node{names: map[string]*node{}, durableNames: map[string]*node{}}
}

func (n *node) folder() bool { return n.names != nil }

// size is how many octets n has, with what is in it.
func (n *node) size() int64 {
	size := int64(len(n.octets))
	for _, in := range n.names {
		size += in.size()
	}
	return size
}

// write does w, which is not durable yet.
func (n *node) write(w write) {
	n.octets = w.apply(n.octets)
	n.writes = append(n.writes, w)
}

func (w write) apply(to []byte) []byte {
	end := w.at + int64(len(w.octets))
	if w.octets == nil && w.at < int64(len(to)) {
		return to[:w.at]
	}
	for int64(len(to)) < end {
		to = append(to, make([]byte, end-int64(len(to)))...)
	}
	copy(to[w.at:], w.octets)
	return to
}

// sync makes n durable.
func (n *node) sync() {
	for _, w := range n.writes {
		n.durable = w.apply(n.durable)
	}
	n.writes = nil
}

// forget has what was not synced never be durable.
func (n *node) forget() { n.writes = nil }

// name makes a change of names, which is not durable yet.
func (n *node) name(c change) {
	c.apply(n.names)
	n.changes = append(n.changes, c)
}

func (c change) apply(to map[string]*node) {
	for name, n := range c {
		if n == nil {
			delete(to, name)
		} else {
			to[name] = n
		}
	}
}

func (n *node) syncNames() {
	for _, c := range n.changes {
		c.apply(n.durableNames)
	}
	n.changes = nil
}

// after is n after a loss. Nodes that have several names are still one.
func (n *node) after(loss Loss, r *rand.Rand, done map[*node]*node) *node {
	if m := done[n]; m != nil {
		return m
	}
	m := &node{}
	done[n] = m
	if !n.folder() {
		m.octets = n.octetsAfter(loss, r)
		m.durable = slices.Clone(m.octets)
		return m
	}
	names := n.namesAfter(loss, r)
	m.names = map[string]*node{}
	for _, name := range slices.Sorted(maps.Keys(names)) { // r has an order
		m.names[name] = names[name].after(loss, r, done)
	}
	m.durableNames = maps.Clone(m.names)
	return m
}

func (n *node) octetsAfter(loss Loss, r *rand.Rand) []byte {
	if loss == Killed {
		return slices.Clone(n.octets)
	}
	octets := slices.Clone(n.durable)
	if loss == Power {
		return octets
	}
	for _, w := range n.writes {
		switch r.IntN(3) {
		case 0:
			octets = w.apply(octets)
		case 1:
			octets = w.tear(octets, r)
		}
	}
	return octets
}

// tear does some sectors of w.
func (w write) tear(to []byte, r *rand.Rand) []byte {
	for from := 0; from < len(w.octets); {
		at := w.at + int64(from)
		n := min(sector-int(at%sector), len(w.octets)-from)
		if r.IntN(2) == 0 {
			to = write{at, w.octets[from : from+n]}.apply(to)
		}
		from += n
	}
	return to
}

func (n *node) namesAfter(loss Loss, r *rand.Rand) map[string]*node {
	if loss == Killed {
		return n.names
	}
	names := maps.Clone(n.durableNames)
	if loss == Power {
		return names
	}
	for _, c := range n.changes {
		if r.IntN(2) == 0 {
			c.apply(names)
		}
	}
	return names
}
