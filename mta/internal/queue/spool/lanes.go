package spool

import (
	"cmp"
	"container/heap"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A lane is the entries that wait for the same.
//
// It is in one of four states: ready (something waits in it, and it may be asked
// about), blocked (something waits, but nobody may ask before a time), idle
// (nothing waits), aside (a claim is at it, and puts it back). Only place moves
// it between the first three, and only a claim to the fourth and from there.
type lane struct {
	name      string
	waiting   []uint32 // a heap of slots, the earliest first
	entries   uint32   // in any state
	state     laneState
	at        uint32 // where it is in the heap of its state
	key       int64  // what it is sorted by there
	notBefore int64  // nobody may ask before; noDue: it is not blocked
	wakes     uint32 // how often it was woken
}

type laneState byte

const (
	laneFree laneState = iota // of a name that is not in use
	laneReady
	laneBlocked
	laneIdle
	laneAside
)

// lanes are all of them. Those in which nothing is are forgotten, but for those
// that are blocked.
type lanes struct {
	all     []lane
	byName  map[string]uint32
	free    []uint32
	ready   laneHeap // by the time of their earliest entry
	blocked laneHeap // by the time from which something can be had
	idle    laneHeap // those of them that are blocked, by the time at which that ends
}

func (ls *lanes) init() {
	ls.byName = map[string]uint32{}
	ls.ready.of, ls.blocked.of, ls.idle.of = ls, ls, ls
}

// named returns the lane of a name, which begins if there is none.
func (ls *lanes) named(name string) uint32 {
	if at, ok := ls.byName[name]; ok {
		return at
	}
	at := uint32(len(ls.all))
	if n := len(ls.free); n > 0 {
		at, ls.free = ls.free[n-1], ls.free[:n-1]
	} else {
		ls.all = append(ls.all, lane{})
	}
	ls.all[at] = lane{name: name, state: laneIdle, at: none, notBefore: noDue}
	ls.byName[name] = at
	return at
}

// leave says that one entry less is in a lane.
func (ls *lanes) leave(at uint32) {
	ls.all[at].entries--
	ls.forget(at)
}

// forget ends a lane in which nothing is.
func (ls *lanes) forget(at uint32) {
	l := &ls.all[at]
	if l.entries > 0 || l.state != laneIdle || l.notBefore != noDue {
		return
	}
	delete(ls.byName, l.name)
	*l = lane{}
	if ls.free = append(ls.free, at); len(ls.free) == len(ls.all) {
		ls.all, ls.free = nil, nil
	}
}

// heap is the one of a state; nil: there is none.
func (ls *lanes) heap(s laneState) *laneHeap {
	switch s {
	case laneReady:
		return &ls.ready
	case laneBlocked:
		return &ls.blocked
	case laneIdle:
		return &ls.idle
	}
	return nil
}

// place moves a lane to where it belongs, its entries or what blocks it having
// changed.
func (ls *lanes) place(x *index, at uint32) {
	l := &ls.all[at]
	if l.state == laneAside {
		return
	}
	state, key := laneIdle, l.notBefore
	if len(l.waiting) > 0 {
		state, key = laneReady, x.at(l.waiting[0]).due
		if l.notBefore != noDue {
			state, key = laneBlocked, max(key, l.notBefore)
		}
	}
	ls.move(at, state, key)
}

// move puts a lane into a state.
func (ls *lanes) move(at uint32, state laneState, key int64) {
	l := &ls.all[at]
	if l.state == state && l.key == key && l.at != none {
		return
	}
	if l.at != none {
		heap.Remove(ls.heap(l.state), int(l.at))
	}
	l.state, l.key, l.at = state, key, none
	if h := ls.heap(state); h != nil && (state != laneIdle || l.notBefore != noDue) {
		heap.Push(h, at)
	}
	ls.forget(at)
}

// unblock has all lanes asked about whose time has come.
func (ls *lanes) unblock(x *index, now int64) {
	for _, h := range []*laneHeap{&ls.blocked, &ls.idle} {
		for len(h.lanes) > 0 && ls.all[h.lanes[0]].notBefore <= now && ls.all[h.lanes[0]].key <= now {
			at := h.lanes[0]
			ls.all[at].notBefore = noDue
			ls.place(x, at)
		}
	}
}

// wake has a lane asked about.
func (ls *lanes) wake(x *index, name string) {
	if at, ok := ls.byName[name]; ok {
		ls.all[at].wakes++
		ls.all[at].notBefore = noDue
		ls.place(x, at)
	}
}

// wakeAll has every lane asked about.
func (ls *lanes) wakeAll(x *index) {
	for _, h := range []*laneHeap{&ls.blocked, &ls.idle} {
		for len(h.lanes) > 0 {
			ls.wake(x, ls.all[h.lanes[0]].name)
		}
	}
}

// fullest are the lanes with the most entries.
func (ls *lanes) fullest() []queue.LaneStats {
	least, found := uint32(1), []queue.LaneStats(nil)
	for i := range ls.all {
		l := &ls.all[i]
		if l.entries < least {
			continue
		}
		found = append(found, queue.LaneStats{Lane: l.name, Entries: int(l.entries)})
		if len(found) == 2*queue.MaxLanes {
			found = sortLanes(found)
			least = uint32(found[queue.MaxLanes-1].Entries)
		}
	}
	return sortLanes(found)
}

// sortLanes sorts lanes, and cuts off those that nobody asks for.
func sortLanes(l []queue.LaneStats) []queue.LaneStats {
	slices.SortFunc(l, func(a, b queue.LaneStats) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Lane, b.Lane))
	})
	return l[:min(len(l), queue.MaxLanes)]
}

// A laneHeap is lanes, those with the least key first. It implements
// [heap.Interface].
type laneHeap struct {
	of    *lanes
	lanes []uint32
}

func (h *laneHeap) Len() int { return len(h.lanes) }

func (h *laneHeap) Less(i, j int) bool {
	return h.of.all[h.lanes[i]].key < h.of.all[h.lanes[j]].key
}

func (h *laneHeap) Swap(i, j int) {
	h.lanes[i], h.lanes[j] = h.lanes[j], h.lanes[i]
	h.of.all[h.lanes[i]].at = uint32(i)
	h.of.all[h.lanes[j]].at = uint32(j)
}

// Push implements [heap.Interface].
func (h *laneHeap) Push(v any) {
	at := v.(uint32)
	h.of.all[at].at = uint32(len(h.lanes))
	h.lanes = append(h.lanes, at)
}

// Pop implements [heap.Interface].
func (h *laneHeap) Pop() any {
	last := len(h.lanes) - 1
	at := h.lanes[last]
	h.lanes = h.lanes[:last]
	h.of.all[at].at = none
	return at
}
