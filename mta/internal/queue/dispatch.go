package queue

import (
	"math"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// Parts of Concurrency. What is left by each is for those that have more.
const (
	remotePart = 0.9 // for next hops: the message store always gets on
	widePart   = 0.75
	newPart    = 0.6 // for the first attempt at a next hop that is new or slow
	probePart  = 0.4 // for the probes of next hops that are down
	crowdPart  = 0.2 // for further attempts at those that are new or slow
)

// narrow is up to how many attempts a lane may have while most of Concurrency is
// in use: so that a few busy lanes leave room for many.
const narrow = 5

const (
	// maxClaimed is how many claimed entries wait in memory, in all lanes: they
	// are read from the store again if the process dies, and each is a few
	// kilobytes here.
	maxClaimed = 1000

	// localBacklog is how many of them are for the message store.
	localBacklog = 100

	// fullPause is how long the store hands out nothing of a lane that has
	// enough in memory, unless it is told otherwise. It is short because it holds
	// for all nodes that are asked about the same entries.
	fullPause = 500 * time.Millisecond

	// crowdPause is the same for a new or slow lane that waits for others: there
	// may be thousands.
	crowdPause = 2 * time.Second
)

// A task is an entry on its way to its attempt.
type task struct {
	entry   *Entry
	content mail.Content // nil: it is in the store
	fresh   bool         // from Enqueue
	octets  int64        // of content that count for WindowSize
	lane    *lane        // the dispatcher has a place there for it; nil before
	began   time.Time    // when it got it
	alone   bool         // no other entry that may have killed the process is attempted beside it
}

// part is a part of Concurrency, one at least.
func (q *Queue) part(f float64) int { return int(math.Ceil(float64(q.Concurrency) * f)) }

// laneAt is the lane of that name. Called with mu held.
func (q *Queue) laneAt(name string, now time.Time) *lane {
	l := q.lanes[name]
	if l == nil {
		hop := q.hopOf(name)
		l = &lane{name: name, hop: hop, most: or(hop.Concurrency, q.LaneLimit), slow: name != ""}
		if l.local() {
			l.most, l.proven, l.limit = q.Concurrency, true, float64(q.Concurrency)
		}
		q.makeRoom(now)
		q.lanes[name] = l
	}
	l.used = now
	return l
}

// crowded tells whether one more attempt at l has to wait for others to end,
// whatever l itself may have. Called with mu held.
func (q *Queue) crowded(l *lane) bool {
	switch {
	case l.local():
		return q.total >= q.Concurrency
	case q.total >= q.part(remotePart):
		return true
	case !l.slow:
		return l.active >= narrow && q.total >= q.part(widePart)
	case l.active > 0:
		return q.slow >= q.part(crowdPart)
	case l.down != nil:
		return q.slow >= q.part(probePart)
	}
	return q.slow >= q.part(newPart)
}

// full tells whether l has no place of its own for one more attempt.
func (l *lane) full(now time.Time) bool {
	places := l.places()
	if l.owed.After(now) {
		places--
	}
	return l.active >= places
}

// turn begins what l has and may begin. Called with mu held.
func (q *Queue) turn(l *lane, now time.Time) {
	for q.running && l.waiting() > 0 && !l.closed(now) {
		switch {
		case l.full(now):
			if l.owed.After(now) {
				q.later(l, l.owed)
			}
			return
		case q.crowded(l):
			if !l.ready {
				l.ready = true
				q.ready = append(q.ready, l)
			}
			return
		case !q.allowed(l, now):
			return
		}
		q.start(l, l.pop(), now)
	}
}

// start begins an attempt. Called with mu held.
func (q *Queue) start(l *lane, t task, now time.Time) {
	t.lane, t.began = l, now
	l.active++
	l.started++
	q.total++
	if l.slow {
		q.slow++
	}
	q.spend(l)
	q.started(&t)
	q.flight.Add(1)
	go q.work(q.attempts, t)
}

// started gives back the room that t had while it waited. Called with mu held.
func (q *Queue) started(t *task) {
	if t.fresh {
		q.reserved--
		q.octets -= t.octets
		t.octets = 0
		return
	}
	if q.claimed--; q.claimed == maxClaimed/2 {
		q.poke()
	}
}

// later has the scheduler turn to l at a time. Called with mu held.
func (q *Queue) later(l *lane, at time.Time) {
	if before, ok := q.timed[l]; ok && !at.Before(before) {
		return
	}
	q.timed[l] = at
	q.poke()
}

// finished ends an attempt, and lets in who waited for that. Called with mu held.
func (q *Queue) finished(now time.Time) {
	q.total--
	for n := len(q.ready); n > 0 && q.total < q.Concurrency; n-- {
		l := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		l.ready = false
		q.turn(l, now)
	}
}

// turnTimed turns to the lanes whose time has come, and returns how long it is
// to the next, at most pollStore.
func (q *Queue) turnTimed() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	wait := pollStore
	for l, at := range q.timed {
		if at.After(now) {
			wait = min(wait, at.Sub(now))
			continue
		}
		delete(q.timed, l)
		q.turn(l, now)
		if again, ok := q.timed[l]; ok {
			wait = min(wait, max(again.Sub(now), 0))
		}
	}
	return wait
}

// pick says how many entries of a lane the store may hand out.
func (q *Queue) pick(name string) (int, time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	l := q.laneAt(name, now)
	n, notBefore := q.room(l, now)
	if n > 0 {
		return n, time.Time{}
	}
	l.told = notBefore
	return 0, notBefore
}

// room is how many more entries of l may be in memory; if none, before when
// nobody needs to ask again. Called with mu held.
func (q *Queue) room(l *lane, now time.Time) (int, time.Time) {
	if l.closed(now) {
		return 0, l.down.until
	}
	var n int
	switch {
	case l.local():
		n = min(q.Concurrency-q.total, localBacklog) + localBacklog - len(l.claimed)
	case q.crowded(l) && l.slow:
		return 0, now.Add(spread(crowdPause, q.Random()))
	case q.crowded(l):
		return 0, now.Add(fullPause)
	case !l.proven || l.down != nil:
		n = l.places() - l.active - l.waiting()
	default:
		n = l.places() - l.active + int(l.limit) - len(l.claimed)
	}
	if n > 0 && !l.hop.Rate.IsZero() {
		next := q.nextAllowed(l, now)
		if next.After(now) {
			return 0, next
		}
		n = min(n, int(l.bucket.tokens)+1-l.waiting())
	}
	if n <= 0 {
		return 0, now.Add(fullPause)
	}
	return n, time.Time{}
}

// refill has the store asked for more of l, if that is worth it. Called with mu
// held.
func (q *Queue) refill(l *lane, now time.Time) {
	if !l.told.After(now) {
		return
	}
	if n, _ := q.room(l, now); n > 0 && n >= l.places()/2 {
		l.told = time.Time{}
		q.wakes = append(q.wakes, l.name)
		q.poke()
	}
}
