package spool

import (
	"container/heap"
	"context"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A lease is who has an entry. It runs, or it is busy (a change is being written:
// it does not lapse meanwhile), or it has lapsed: then the entry waits as if it
// had none, but whoever has the token may still change it, until another has it.
type lease struct {
	slot   uint32
	token  uint64
	until  time.Time
	busy   bool
	lapsed bool
	at     int // where it is in the heap of those that run; -1: it does not
}

// grant gives an entry to somebody. Called with mu held.
func (s *Store) grant(slot uint32, until time.Time) *lease {
	s.token++
	return s.lend(slot, &lease{token: s.token, until: until})
}

// lend is grant with a lease that has its token. Called with mu held.
func (s *Store) lend(slot uint32, l *lease) *lease {
	s.stop(s.leases[slot])
	s.index.unschedule(slot)
	l.slot, l.at = slot, -1
	s.leases[slot] = l
	heap.Push(&s.running, l)
	return l
}

// stop takes a lease from those that run. Called with mu held.
func (s *Store) stop(l *lease) {
	if l != nil && l.at >= 0 {
		heap.Remove(&s.running, l.at)
	}
}

// endLease gives an entry back to its lane. Called with mu held.
func (s *Store) endLease(slot uint32) {
	if l := s.leases[slot]; l != nil {
		s.stop(l)
		delete(s.leases, slot)
	}
	s.waitAgain(slot)
}

// waitAgain has an entry wait for its time, unless it is held. Called with mu
// held.
func (s *Store) waitAgain(slot uint32) {
	if it := s.index.at(slot); it.flags&(flagHeld|flagGone) == 0 && it.waits == none {
		s.index.schedule(slot)
	}
}

// lapse has the entries wait again whose lease has ended; where it is earlier than
// it was, leases have not ended yet that had. Called with mu held.
func (s *Store) lapse(now time.Time) {
	if now.Before(s.now) {
		for slot, l := range s.leases {
			if l.lapsed && l.until.After(now) {
				s.index.unschedule(slot)
				l.lapsed = false
				heap.Push(&s.running, l)
			}
		}
	}
	s.now = now
	for len(s.running) > 0 && !s.running[0].until.After(now) {
		l := heap.Pop(&s.running).(*lease)
		l.lapsed = true
		s.waitAgain(l.slot)
	}
}

// occupy keeps a lease from lapsing while a change is written; it returns none for
// a token that is not the entry's last.
func (s *Store) occupy(e *queue.Entry) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.slotOf(e.ID)
	if slot == none {
		return none
	}
	l := s.leases[slot]
	if l == nil || l.token != e.Lease.Token || l.busy {
		return none
	}
	s.stop(l)
	s.index.unschedule(slot) // if it had lapsed
	l.busy = true
	return slot
}

// vacate undoes occupy, the change having failed or the lease going on.
func (s *Store) vacate(slot uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.leases[slot]; l != nil && l.busy {
		l.busy, l.lapsed = false, false
		heap.Push(&s.running, l)
	}
}

// taken tells whether somebody has an entry. Called with mu held.
func (s *Store) taken(slot uint32, now time.Time) bool {
	l := s.leases[slot]
	return l != nil && (l.busy || l.until.After(now))
}

// Take implements [queue.Store].
func (s *Store) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	s.mu.Lock()
	slot := s.slotOf(id)
	if slot == none {
		s.mu.Unlock()
		return nil, queue.ErrNotFound
	}
	if s.taken(slot, now) {
		s.mu.Unlock()
		return nil, queue.ErrActive
	}
	s.grant(slot, until)
	v := s.view(slot)
	s.mu.Unlock()
	return s.readOne(v), nil
}

// Extend implements [queue.Store].
func (s *Store) Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := s.slotOf(id)
	if slot == none {
		return queue.ErrLease
	}
	l := s.leases[slot]
	if l == nil || l.token != token {
		return queue.ErrLease
	}
	if l.busy {
		return nil // it does not lapse, and ends with the change
	}
	if until.IsZero() {
		s.endLease(slot)
		return nil
	}
	s.lend(slot, &lease{token: token, until: until})
	return nil
}

// A leaseHeap is leases, the one that ends first in front. It implements
// [heap.Interface].
type leaseHeap []*lease

func (h leaseHeap) Len() int           { return len(h) }
func (h leaseHeap) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h leaseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements [heap.Interface].
func (h *leaseHeap) Push(v any) {
	l := v.(*lease)
	l.at = len(*h)
	*h = append(*h, l)
}

// Pop implements [heap.Interface].
func (h *leaseHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	l.at = -1
	return l
}
