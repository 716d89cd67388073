package queue

import (
	"context"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// windowPart is which part of the window one next hop may fill: fresh mail for
// another one goes straight on, too.
const windowPart = 2

// laneOf is the lane of e: that of all its recipients, or the empty one.
func (q *Queue) laneOf(e *Entry) string {
	if q.Lane == nil || len(e.Envelope.Recipients) == 0 {
		return ""
	}
	lane := q.Lane(&e.Envelope.Recipients[0])
	for i := range e.Envelope.Recipients[1:] {
		if lane == "" || q.Lane(&e.Envelope.Recipients[i+1]) != lane {
			return ""
		}
	}
	return lane
}

// reserve takes a place for n among the fresh tasks, if there is one and if its
// lane has a use for it. Content that there is no room for is left to the store.
func (q *Queue) reserve(n *newcomer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.running || q.reserved >= q.Window {
		return
	}
	now := time.Now()
	l := q.laneAt(n.entry.Lane, now)
	most := q.Window
	switch {
	case l.closed(now):
		return
	case l.down != nil || !l.proven:
		most = newPlaces
	case !l.local():
		most = max(q.Window/windowPart, 1)
	}
	if len(l.fresh)+l.reserved >= most {
		return
	}
	n.straight, n.fresh, n.lane = true, true, l
	l.reserved++
	q.reserved++
	if octets, ok := n.task.content.(mail.Bytes); ok {
		n.octets = int64(len(octets))
	}
	if q.octets+n.octets > q.WindowSize {
		n.task.content, n.octets = nil, 0
	}
	q.octets += n.octets
}

// unreserve gives back the place of n, if it has one.
func (q *Queue) unreserve(n *newcomer) {
	if !n.straight {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.release(n)
	q.reserved--
	q.octets -= n.octets
}

// release ends what reserve did to the lane of n. Called with mu held.
func (q *Queue) release(n *newcomer) {
	n.lane.reserved--
	n.straight = false
}

// hand gives a stored entry to its lane. Run may have ended since its place was
// reserved, or the lane gone down; then the entry is given back and waits in the
// store.
func (q *Queue) hand(ctx context.Context, n *newcomer) {
	q.mu.Lock()
	l, now := n.lane, time.Now()
	q.release(n)
	taken := q.running && !l.closed(now)
	if taken {
		q.active[n.entry.ID] = handle{token: n.entry.Lease.Token, until: n.until}
		l.push(n.task)
		q.turn(l, now)
	} else {
		q.reserved--
		q.octets -= n.octets
	}
	q.mu.Unlock()
	if !taken {
		q.giveBack(ctx, n.entry)
	}
}

// shut tells whether the store knows that it is not to be asked about a lane.
func (q *Queue) shut(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lanes[name]
	return l != nil && l.told.After(time.Now())
}
