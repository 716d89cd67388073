package spool

import (
	"sync"
	"time"
)

const (
	// maxDead is how many segments that nobody needs may be there before a
	// checkpoint is written for them: only then can they go.
	maxDead = 4

	// replayFactor is how much log there may be since a checkpoint, by the size of
	// that: reading it all takes about as long as reading the checkpoint.
	replayFactor = 4

	// slack is how many segments there may be beyond twice as many as what is
	// live would fill. Then one is copied to the end of the log.
	slack = 4

	// moveSize is how many octets are copied in one step.
	moveSize = 256 << 10

	// upkeepRetry is the wait after an upkeep that failed: on a full disk, each
	// ends in another checkpoint that was nearly written.
	upkeepRetry = 5 * time.Second
)

// An upkeep is the work behind the scenes: one goroutine while there is some.
type upkeep struct {
	one sync.Mutex // one at a time

	mu      sync.Mutex // guards what follows
	running bool
	again   bool
	stopped bool
	wait    time.Time // until then there is none: the last one failed
	work    sync.WaitGroup
}

// tend has the upkeep done if there may be something to do. begun says that a
// segment was begun.
func (s *Store) tend(begun bool) {
	if s.options.ManualUpkeep {
		return
	}
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if !begun && dead < maxDead && !(dead > 0 && s.journal.isFull()) {
		return
	}
	u := &s.care
	u.mu.Lock()
	defer u.mu.Unlock()
	if time.Now().Before(u.wait) {
		return
	}
	u.again = true
	if u.stopped || u.running {
		return
	}
	u.running = true
	u.work.Go(func() {
		for u.next() {
			if err := s.keepUp(false); err != nil {
				s.log.Warn("queue store", "err", err) // a later commit has it tried again
				u.rest()
			}
		}
	})
}

// next tells whether there is to be another round.
func (u *upkeep) next() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	again := u.again && !u.stopped
	u.again = false
	u.running = again
	return again
}

// rest has none begin for a while.
func (u *upkeep) rest() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.again, u.wait = false, time.Now().Add(upkeepRetry)
}

// stop waits for the upkeep to end, and has none begin.
func (u *upkeep) stop() {
	u.mu.Lock()
	u.stopped = true
	u.mu.Unlock()
	u.work.Wait()
}

func (u *upkeep) isStopped() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.stopped
}

// Upkeep does now what is else done behind the scenes: it writes a checkpoint,
// removes segments that nobody needs, and copies the rest of those that are
// mostly dead.
func (s *Store) Upkeep() error { return s.keepUp(true) }

func (s *Store) keepUp(all bool) error {
	s.care.one.Lock()
	defer s.care.one.Unlock()
	for {
		if all || s.checkpointDue() {
			if err := s.checkpoint(); err != nil {
				return err
			}
		}
		if err := s.removeDead(); err != nil {
			return err
		}
		if s.care.isStopped() {
			return nil
		}
		moved, err := s.compact()
		if err != nil || !moved {
			return err
		}
		all = true
	}
}

// checkpointDue tells whether a checkpoint is worth its while.
func (s *Store) checkpointDue() bool {
	full := s.journal.isFull()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead >= maxDead || s.dead > 0 && full ||
		s.logged-s.saved.logged >= max(s.options.SegmentSize, replayFactor*s.saved.size)
}

// removeDead removes the segments that neither an entry needs nor the reading of
// the log after the last checkpoint.
func (s *Store) removeDead() error {
	s.mu.Lock()
	var dead []*segment
	s.dead = 0
	for n, g := range s.segments {
		switch {
		case g.live != 0 || !g.sealed:
		case n < s.saved.segment && g.refs == 0:
			delete(s.segments, n)
			dead = append(dead, g)
		default:
			s.dead++
		}
	}
	s.mu.Unlock()
	var first error
	for _, g := range dead {
		if err := s.journal.retire(g); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// compact copies to the end of the log what is live in the segments of which the
// least is, as long as there are more segments than there ought to be. It stops
// for a checkpoint: only after that they can go.
func (s *Store) compact() (moved bool, err error) {
	for range maxDead {
		g := s.mostlyDead()
		if g == nil || s.care.isStopped() {
			break
		}
		some, err := s.moveAll(g)
		if err != nil {
			return moved, err
		}
		if !some && !g.stuck {
			break // what is live in it is about to be removed: the next commit ends that
		}
		moved = moved || some
	}
	return moved, nil
}

// mostlyDead returns the segment that is to be copied; nil if none is.
func (s *Store) mostlyDead() *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	var least *segment
	count, live := int64(0), int64(0)
	for _, g := range s.segments {
		if live += g.live; g.live == 0 || !g.sealed {
			continue
		}
		count++
		if !g.stuck && (least == nil || g.live < least.live || g.live == least.live && g.number < least.number) {
			least = g
		}
	}
	if count <= 2*live/s.options.SegmentSize+slack {
		return nil
	}
	return least
}

// moveAll copies what is live in a segment, if there is any. What cannot be read
// stays where it is, and the segment with it.
func (s *Store) moveAll(g *segment) (moved bool, err error) {
	for n := 0; ; n++ {
		slots, more := s.slotsIn(g.number, n)
		for len(slots) > 0 && !s.care.isStopped() {
			c := &change{}
			for len(slots) > 0 && len(c.frames) < moveSize {
				if !s.addMove(c, slots[0], g.number) {
					g.stuck = true
				}
				slots = slots[1:]
			}
			if err := s.commit(c); err != nil {
				return moved, err
			}
			moved = moved || len(c.ops) > 0
		}
		if !more {
			return moved, nil
		}
	}
}

// slotsIn finds the entries of one chunk that need a segment.
func (s *Store) slotsIn(number uint32, n int) (slots []uint32, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n >= len(s.index.chunks) {
		return nil, false
	}
	for i := range s.index.chunks[n] {
		if it := &s.index.chunks[n][i]; it.in(number) {
			slots = append(slots, uint32(n*chunk+i))
		}
	}
	return slots, true
}

// in tells whether an entry needs a segment.
func (it *item) in(number uint32) bool {
	return it.flags&flagGone == 0 && it.id != key{} &&
		(it.record.segment == number || it.flags&flagFile == 0 && it.content.segment == number)
}

// addMove adds the move of an entry; false if it cannot be read.
func (s *Store) addMove(c *change, slot, number uint32) bool {
	s.mu.Lock()
	if int(slot/chunk) >= len(s.index.chunks) || !s.index.at(slot).in(number) {
		s.mu.Unlock()
		return true // it is gone, or has moved
	}
	it := *s.index.at(slot)
	record := s.acquire(it.record.segment)
	defer s.letGo(record)
	content := record
	if it.flags&flagFile == 0 {
		content = s.acquire(it.content.segment)
		defer s.letGo(content)
	}
	s.mu.Unlock()
	o, octets, _, err := record.readFrame(it.id, it.record.offset, it.size)
	if err != nil || o.bad&badRecord != 0 {
		return false
	}
	var inline []byte
	if it.flags&flagFile == 0 {
		var whole op
		whole, _, inline, err = content.readFrame(it.id, it.content.offset, it.whole)
		if err != nil || whole.bad&badContent != 0 {
			return false
		}
	}
	move := op{kind: kindMove, flags: o.flags, id: it.id, due: o.due, lane: o.lane, from: it.record, slot: none}
	c.add(move, octets, inline)
	return true
}
