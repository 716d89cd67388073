package spool

import (
	"context"
	"time"

	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Claim implements [queue.Store]. It takes leases of what is due, and reads it
// only then: nobody else changes it any more.
func (s *Store) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	if pick == nil {
		pick = func(string) (int, time.Time) { return max, time.Time{} }
	}
	views := s.claim(now, until, max, pick)
	entries := make([]*queue.Entry, 0, len(views))
	for _, v := range views {
		e := s.readOne(v)
		if e.Damaged {
			s.setAside(v, e.Held)
			continue
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// claim takes the leases. It asks pick without holding mu: who answers may be
// about to wake a lane.
func (s *Store) claim(now, until time.Time, max int, pick queue.Pick) []view {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	var views []view
	var asked []uint32
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick(now)
	lanes := &s.index.lanes
	for len(views) < max && len(lanes.ready.lanes) > 0 {
		at := lanes.ready.lanes[0]
		if lanes.all[at].key > now.UnixNano() {
			break
		}
		name, wakes := lanes.all[at].name, lanes.all[at].wakes
		lanes.move(at, laneAside, 0)
		asked = append(asked, at)
		s.mu.Unlock()
		n, notBefore := pick(name)
		s.mu.Lock()
		if n <= 0 && notBefore.After(now) && lanes.all[at].wakes == wakes {
			lanes.all[at].notBefore = now.UnixNano() + int64(notBefore.Sub(now))
		}
		views = s.claimFrom(at, views, min(max, len(views)+n), now, until)
	}
	for _, at := range asked {
		lanes.all[at].state = laneIdle
		lanes.place(&s.index, at)
	}
	return views
}

// claimFrom takes leases of what is due in a lane, until there are max views.
// Called with mu held.
func (s *Store) claimFrom(at uint32, views []view, max int, now, until time.Time) []view {
	for len(views) < max {
		l := &s.index.lanes.all[at]
		if len(l.waiting) == 0 || s.index.at(l.waiting[0]).due > now.UnixNano() {
			break
		}
		slot := l.waiting[0]
		s.grant(slot, until)
		views = append(views, s.view(slot))
	}
	return views
}

// tick notes which time it is: leases lapse, and lanes may be asked about. Where
// the clock was set back nobody knows how long lanes were to be left alone.
// Called with mu held.
func (s *Store) tick(now time.Time) {
	skew := time.Duration(now.UnixNano() - int64(now.Sub(opened)))
	if skew < s.skew-maxSkew {
		s.index.lanes.wakeAll(&s.index)
	}
	s.skew = skew
	s.lapse(now)
	s.index.lanes.unblock(&s.index, now.UnixNano())
}

// opened is a time with a reading of the clock that nobody sets.
var opened = time.Now()

// maxSkew is by how much the clock may be set back and nothing is made of it: it
// is adjusted a little all the time.
const maxSkew = time.Second

// setAside holds an entry that cannot be read.
func (s *Store) setAside(v view, why string) {
	s.log.Error("held", "queue_id", v.id.id(), "reason", why)
	s.mu.Lock()
	s.aside(v.slot)
	s.mu.Unlock()
	c := &change{}
	c.add(op{kind: kindAside, id: v.id, slot: none}, nil, nil)
	s.commitLater(c)
}

// aside is setAside in memory. Called with mu held.
func (s *Store) aside(slot uint32) {
	s.index.at(slot).flags |= flagAside
	s.index.unschedule(slot)
	s.index.setHeld(slot, true)
	s.endLease(slot)
}

// NextDue implements [queue.Store].
func (s *Store) NextDue(ctx context.Context, now time.Time) (due time.Time, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tick(now)
	for _, h := range []*laneHeap{&s.index.lanes.ready, &s.index.lanes.blocked} {
		if len(h.lanes) == 0 {
			continue
		}
		if at := fromNanos(s.index.lanes.all[h.lanes[0]].key); !ok || at.Before(due) {
			due, ok = at, true
		}
	}
	return due, ok, nil
}

// Wake implements [queue.Store].
func (s *Store) Wake(_ context.Context, lane string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index.lanes.wake(&s.index, lane)
	return nil
}

// Stats implements [queue.Store].
func (s *Store) Stats(ctx context.Context, now time.Time) (queue.Stats, error) {
	stats, oldest := s.count(now)
	if oldest.segment != nil {
		stats.Oldest = s.readOne(oldest).Received
	}
	return stats, nil
}

// count is Stats but for the time of the oldest, which is yet to be read.
func (s *Store) count(now time.Time) (stats queue.Stats, oldest view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Held = s.index.held
	for slot := range s.leases {
		if !s.taken(slot, now) {
			continue
		}
		stats.Active++
		if s.index.at(slot).flags&flagHeld != 0 {
			stats.Held--
		}
	}
	stats.Waiting = s.index.count - stats.Active - stats.Held
	stats.Lanes = s.index.lanes.fullest()
	s.index.after(key{}, func(slot uint32) bool {
		oldest = s.view(slot)
		return false
	})
	return stats, oldest
}
