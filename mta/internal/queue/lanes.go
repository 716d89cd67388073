package queue

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// A LaneState says how a lane stands.
type LaneState string

const (
	LaneNew   LaneState = "new"   // nothing is known of the next hop yet: few attempts at a time
	LaneOpen  LaneState = "open"  // the next hop answers
	LaneDown  LaneState = "down"  // it cannot be reached: nothing is attempted before a time
	LaneProbe LaneState = "probe" // one message finds out whether it still is
)

// A LaneStatus is how a lane of this node stands.
type LaneStatus struct {
	Lane    string
	State   LaneState
	Active  int       // attempts under way
	Limit   int       // of attempts at once, as things are
	Most    int       // what Limit grows to
	Waiting int       // entries in memory, next in line
	Rate    Rate      // of messages; zero: no limit
	Since   time.Time // when it went down; zero: it is not
	Until   time.Time // when it is tried again, or when Rate allows more; zero: now
	Reason  string    // why it is down: the reply, or what went wrong here
}

const (
	// laneMemory is how long a lane with nothing to do is remembered, and one
	// that is down after it could have been probed.
	laneMemory = time.Hour

	// maxLanes is how many lanes are remembered. Beyond, those with nothing to do
	// are forgotten at once, and begin as new ones next time.
	maxLanes = 10_000
)

// Lanes tells how the lanes of this node stand, those with most to do first.
func (q *Queue) Lanes() []LaneStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	all := make([]LaneStatus, 0, len(q.lanes))
	for _, l := range q.lanes {
		all = append(all, q.status(l, now))
	}
	slices.SortFunc(all, func(a, b LaneStatus) int {
		return cmp.Or(cmp.Compare(b.Active+b.Waiting, a.Active+a.Waiting), cmp.Compare(a.Lane, b.Lane))
	})
	return all
}

// status is that of one lane. Called with mu held.
func (q *Queue) status(l *lane, now time.Time) LaneStatus {
	s := LaneStatus{
		Lane: l.name, State: l.state(now), Active: l.active, Limit: l.places(), Most: l.most,
		Waiting: l.waiting(), Rate: l.hop.Rate,
	}
	if l.down != nil {
		s.Since, s.Until, s.Reason = l.down.since, l.down.until, l.down.reason()
	} else if !s.Rate.IsZero() {
		s.Until = q.nextAllowed(l, now)
	}
	if !s.Until.After(now) {
		s.Until = time.Time{}
	}
	return s
}

// open has a lane tried again now, whatever is known of it.
func (q *Queue) open(ctx context.Context, name string) error {
	q.setup()
	q.mu.Lock()
	l := q.lanes[name]
	if l != nil && l.down != nil {
		l.rise()
	}
	q.mu.Unlock()
	err := q.Store.Wake(ctx, name)
	q.poke()
	return err
}

// Opened has a lane tried again now, if its next hop is down for this node: an
// operator said so at another.
func (q *Queue) Opened(ctx context.Context, name string) {
	q.mu.Lock()
	l := q.lanes[name]
	down := l != nil && l.down != nil
	q.mu.Unlock()
	if !down {
		return
	}
	q.Log.Info("next hop tried again", "next_hop", name)
	if err := q.open(ctx, name); err != nil {
		q.Log.Warn("queue store", "next_hop", name, "err", err)
	}
}

// makeRoom forgets lanes if there are too many. Called with mu held.
func (q *Queue) makeRoom(now time.Time) {
	if len(q.lanes) < maxLanes {
		return
	}
	q.forget(now, laneMemory)
	if len(q.lanes) >= maxLanes {
		q.forget(now, 0)
	}
}

// forget forgets the lanes that have nothing to do and were not asked for in
// that time. Called with mu held.
func (q *Queue) forget(now time.Time, memory time.Duration) {
	for name, l := range q.lanes {
		quiet := l.active == 0 && l.waiting() == 0 && l.reserved == 0 && !l.ready && !l.share.asking
		if l.closed(now) && memory > 0 || now.Sub(l.used) < memory {
			continue
		}
		if _, timed := q.timed[l]; quiet && !timed {
			delete(q.lanes, name)
		}
	}
}

// wakeLanes tells the store of lanes that have room again.
func (q *Queue) wakeLanes(ctx context.Context) error {
	q.mu.Lock()
	names := q.wakes
	q.wakes = nil
	q.mu.Unlock()
	slices.Sort(names)
	names = slices.Compact(names)
	for i, name := range names {
		if err := q.Store.Wake(ctx, name); err != nil {
			q.mu.Lock()
			q.wakes = append(q.wakes, names[i:]...)
			q.mu.Unlock()
			return err
		}
	}
	return nil
}
