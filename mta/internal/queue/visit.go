package queue

import (
	"context"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// fullRetry is when a recipient is tried again whose lane had no place for a
	// message with several lanes. One place is kept for it from then on.
	fullRetry = 5 * time.Second

	// maxVisits is how many lanes one attempt has a place in: the others are
	// attempted right after.
	maxVisits = 50

	// mixedPart is which part of Concurrency attempts at several lanes may have:
	// none of them counts for the shares of new and slow lanes.
	mixedPart = 0.4
)

// A visit is a place in a lane for some recipients of one attempt.
type visit struct {
	lane    *lane
	began   time.Time
	started bool  // the dispatcher gave it
	rcpts   []int // by their place in the entry
	left    bool
}

// A parking is why a recipient is not attempted now, and until when.
type parking struct {
	until time.Time
	at    time.Time   // when why was said; zero: the lane is only full
	why   mail.Result // what the last attempt at its lane said
}

// enter takes places for those of e that are due, beside the one that there is.
// Recipients whose lane has none are parked: they come back by their place in the
// entry.
func (q *Queue) enter(e *Entry, own *visit, due []int) (visits []*visit, parked map[int]parking) {
	visits = []*visit{own}
	if q.Lane == nil {
		own.rcpts = due
		return visits, nil
	}
	names := make([]string, len(due))
	for k, i := range due {
		names[k] = q.Lane(&e.Envelope.Recipients[i])
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	parked = map[int]parking{}
	now := time.Now()
	for k, i := range due {
		name := names[k]
		at := slices.IndexFunc(visits, func(v *visit) bool { return v.lane.name == name })
		switch {
		case at >= 0:
			visits[at].rcpts = append(visits[at].rcpts, i)
		case name == "": // a mailbox beside a next hop needs no place
			own.rcpts = append(own.rcpts, i)
		default:
			v, p := q.visit(name, len(visits), now)
			if v == nil {
				parked[i] = p
				continue
			}
			v.rcpts = []int{i}
			visits = append(visits, v)
		}
	}
	return visits, parked
}

// visit takes a place in one more lane, beside n. Called with mu held.
func (q *Queue) visit(name string, n int, now time.Time) (*visit, parking) {
	l := q.laneAt(name, now)
	full := parking{until: now.Add(spread(fullRetry, q.Random()))}
	switch {
	case l.closed(now):
		return nil, parking{l.down.until.Add(spread(fullRetry, q.Random())), l.down.began, l.down.result}
	case n >= maxVisits:
		return nil, parking{until: now}
	case n == 1 && q.mixed >= q.part(mixedPart):
		return nil, full
	case l.active >= l.places():
		l.owed = now.Add(3 * fullRetry)
		return nil, full
	case !q.allowed(l, now):
		return nil, full
	}
	if n == 1 {
		q.mixed++
	}
	l.owed = time.Time{}
	l.active++
	q.spend(l)
	return &visit{lane: l, began: now}, parking{}
}

// spread is d, by up to as much longer.
func spread(d time.Duration, random float64) time.Duration {
	return d + time.Duration(random*float64(d))
}

// leave gives the places back that were not given back yet, with what results, of all recipients of the
// entry, say of the lanes. No results say nothing.
func (q *Queue) leave(ctx context.Context, visits []*visit, results []mail.Result) {
	var back []task
	var events []event
	q.mu.Lock()
	now := time.Now()
	if len(visits) > 1 {
		q.mixed--
	}
	for _, v := range visits {
		if v.left {
			continue
		}
		v.left = true
		said, why := v.judge(results)
		if e, ok := q.learn(v, said, why, now); ok {
			events = append(events, e)
		}
		if v.lane.closed(now) {
			back = append(back, v.lane.drain()...)
		}
	}
	for i := range back {
		q.started(&back[i])
	}
	q.mu.Unlock()
	for _, e := range events {
		q.logLane(e)
	}
	for _, t := range back {
		q.sweepTaken(ctx, t.entry) // what was to be warned of while it waited here
	}
}

// judge is what the results of the visit's recipients say of its lane. A stage
// behind the queue may have led them to another next hop: that one being down
// does not close this lane.
func (v *visit) judge(results []mail.Result) (verdict, mail.Result) {
	var own []mail.Result
	for _, i := range v.rcpts {
		if i >= len(results) {
			continue
		}
		r := results[i]
		if r.Unreached && r.Lane != "" && r.Lane != v.lane.name {
			r.Unreached, r.Strained = false, true
		}
		own = append(own, r)
	}
	return judge(own)
}

// An event is that a next hop went down or came up.
type event struct {
	lane string
	down bool
	out  outage
	at   time.Time
}

// learn ends one visit and notes what it says of the lane. It returns what is
// worth telling. Called with mu held.
func (q *Queue) learn(v *visit, said verdict, why mail.Result, now time.Time) (e event, ok bool) {
	l := v.lane
	l.active--
	if l.slow {
		q.slow -= l.started
	}
	if v.started {
		l.started--
	}
	if l.local() {
		said = unclear
	}
	switch said {
	case through:
		if l.down != nil {
			e, ok = event{lane: l.name, out: *l.down, at: now}, true
			q.wakes = append(q.wakes, l.name)
			l.rise()
			q.poke()
		}
		l.grow(now)
		l.slow = now.Sub(v.began) > slowAfter
	case strained:
		l.shrink(v.began, now)
	case unreached:
		if l.fall(v.began, now, why, func(n int) time.Duration { return q.probeWait(l, n) }) {
			e, ok = event{l.name, true, *l.down, now}, true
		}
		l.slow = l.slow || l.down != nil
	}
	if l.slow {
		q.slow += l.started
	}
	q.turn(l, now)
	q.refill(l, now)
	return e, ok
}

// probeWait is how long after so many probes a next hop is probed again: half of
// what one message would wait, so that a message that is alone in its lane has
// its own schedule.
func (q *Queue) probeWait(l *lane, probes int) time.Duration {
	s := q.scheduleOf(l.hop, ReasonUnreachable)
	return jittered(min(s.wait(probes)/2, maxProbe), q.Random())
}
