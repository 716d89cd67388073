package spool

import (
	"bytes"
	"math"
)

// An item is what memory has of an entry. It has no pointers: the collector does
// not look at a million of them.
type item struct {
	id      key
	due     int64
	record  place  // the frame that has the record
	content place  // the frame that has the content, if that is not a file
	size    uint32 // octets of the record's frame up to the end of the record
	whole   uint32 // octets of the content's frame
	lane    uint32
	waits   uint32 // where it is among those of its lane that wait; none: it is not
	flags   byte
}

// none is no slot, and no place in a heap.
const none = math.MaxUint32

// chunk is how many items are allocated together.
const chunk = 1024

// An index is all entries, in memory. The Store's mu guards it.
type index struct {
	chunks [][]item
	free   []uint32 // slots that are not in use
	used   uint32   // slots that were ever in use
	byID   sorted
	count  int // entries, without those that are gone
	held   int // of these

	lanes lanes
}

func (x *index) at(slot uint32) *item { return &x.chunks[slot/chunk][slot%chunk] }

// add takes a slot for an entry that is not there, and sorts it in by its ID.
func (x *index) add(id key) uint32 {
	slot := x.used
	if n := len(x.free); n > 0 {
		slot, x.free = x.free[n-1], x.free[:n-1]
	} else {
		if slot/chunk == uint32(len(x.chunks)) {
			x.chunks = append(x.chunks, make([]item, chunk))
		}
		x.used++
	}
	*x.at(slot) = item{id: id, lane: none, waits: none}
	x.byID.insert(slot, x.before(&id))
	x.count++
	return slot
}

// before tells of slots whether their entry's ID is before one.
func (x *index) before(id *key) func(uint32) bool {
	return func(slot uint32) bool {
		at := x.at(slot)
		return bytes.Compare(at.id[:], id[:]) < 0
	}
}

// find returns the slot of an entry; none if it is not there.
func (x *index) find(id *key) uint32 {
	if run, at := x.byID.find(x.before(id)); run < len(x.byID.runs) {
		if slot := x.byID.runs[run][at]; x.at(slot).id == *id {
			return slot
		}
	}
	return none
}

// after calls f with the entries behind an ID, in the order of their IDs, until
// it returns false.
func (x *index) after(id key, f func(slot uint32) bool) {
	run, at := x.byID.find(x.before(&id))
	for ; run < len(x.byID.runs); run, at = run+1, 0 {
		for _, slot := range x.byID.runs[run][at:] {
			if x.at(slot).id != id && !f(slot) {
				return
			}
		}
	}
}

// hide takes an entry out of all orders; its slot and its item stay.
func (x *index) hide(slot uint32) {
	it := x.at(slot)
	run, at := x.byID.find(x.before(&it.id))
	x.byID.remove(run, at)
	x.unschedule(slot)
	x.enter(slot, none)
	if it.flags&flagHeld != 0 {
		x.held--
	}
	it.flags |= flagGone
	x.count--
}

// release gives back the slot of an entry that is hidden. When nothing is left,
// neither is the memory.
func (x *index) release(slot uint32) {
	*x.at(slot) = item{flags: flagGone}
	x.free = append(x.free, slot)
	if uint32(len(x.free)) == x.used {
		x.chunks, x.free, x.used = nil, nil, 0
	}
}

// setHeld says whether an entry is held.
func (x *index) setHeld(slot uint32, held bool) {
	it := x.at(slot)
	switch was := it.flags&flagHeld != 0; {
	case held && !was:
		x.held++
		it.flags |= flagHeld
	case !held && was:
		x.held--
		it.flags &^= flagHeld
	}
}

// enter puts an entry into a lane, or into none.
func (x *index) enter(slot, lane uint32) {
	it := x.at(slot)
	if it.lane == lane {
		return
	}
	if it.lane != none {
		x.lanes.leave(it.lane)
	}
	if it.lane = lane; lane != none {
		x.lanes.all[lane].entries++
	}
}

// schedule has an entry wait in its lane for its time.
func (x *index) schedule(slot uint32) {
	l := &x.lanes.all[x.at(slot).lane]
	l.waiting = append(l.waiting, slot)
	x.up(l, len(l.waiting)-1, slot)
	x.lanes.place(x, x.at(slot).lane)
}

// unschedule undoes schedule; nothing happens if it was not done.
func (x *index) unschedule(slot uint32) {
	it := x.at(slot)
	if it.waits == none {
		return
	}
	l := &x.lanes.all[it.lane]
	at := int(it.waits)
	it.waits = none
	last := len(l.waiting) - 1
	moved := l.waiting[last]
	l.waiting = l.waiting[:last]
	if at < last {
		x.down(l, at, moved)
		x.up(l, int(x.at(moved).waits), moved)
	}
	if last == 0 {
		l.waiting = nil
	}
	x.lanes.place(x, it.lane)
}

// earlier is the order in which entries of a lane come.
func (x *index) earlier(a, b uint32) bool {
	i, j := x.at(a), x.at(b)
	if i.due != j.due {
		return i.due < j.due
	}
	return bytes.Compare(i.id[:], j.id[:]) < 0
}

// ways is how many children a place of a lane's heap has: few levels, since each
// is a look somewhere else in memory.
const ways = 4

// up puts a slot at a place of the heap, or above.
func (x *index) up(l *lane, at int, slot uint32) {
	for at > 0 {
		above := (at - 1) / ways
		if !x.earlier(slot, l.waiting[above]) {
			break
		}
		x.settle(l, at, l.waiting[above])
		at = above
	}
	x.settle(l, at, slot)
}

// down puts a slot at a place of the heap, or below.
func (x *index) down(l *lane, at int, slot uint32) {
	for {
		first := at*ways + 1
		if first >= len(l.waiting) {
			break
		}
		best := first
		for i := first + 1; i < min(first+ways, len(l.waiting)); i++ {
			if x.earlier(l.waiting[i], l.waiting[best]) {
				best = i
			}
		}
		if !x.earlier(l.waiting[best], slot) {
			break
		}
		x.settle(l, at, l.waiting[best])
		at = best
	}
	x.settle(l, at, slot)
}

func (x *index) settle(l *lane, at int, slot uint32) {
	l.waiting[at] = slot
	x.at(slot).waits = uint32(at)
}
