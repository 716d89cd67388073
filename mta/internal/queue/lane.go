package queue

import (
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// newPlaces is how many attempts are made at once at a next hop that has not
	// answered yet: each may take minutes to fail.
	newPlaces = 3

	// firstLimit is where the limit of a lane begins once its next hop answered:
	// every server takes so many connections.
	firstLimit = 5

	// DefaultLaneLimit is what a lane's limit grows to: what Postfix does, and so
	// what receivers are used to.
	DefaultLaneLimit = 20

	// maxProbe is the longest wait between two probes of a next hop that is down:
	// what waits for it is let in so long after it came back, at most.
	maxProbe = 15 * time.Minute

	// slowAfter is how long an attempt may take before its lane counts as slow.
	slowAfter = 10 * time.Second
)

// A lane is what is known of one next hop, and what waits for it in memory. It
// is new; or open, once a session was had with the next hop; or down until a
// time, and from then on one attempt at a time probes it. Its limit of attempts
// at once grows with those that get through and shrinks with those that fail
// because of the next hop. The lane of the message store, with the empty name,
// has no limit of its own and is never down. All fields are guarded by Queue.mu.
type lane struct {
	name string
	hop  *NextHop // what the operator says of it
	most int      // what limit grows to

	active  int // attempts under way
	started int // those of them that the dispatcher started: they count for its shares
	limit   float64
	rush    float64   // up to here limit grows by one with each success
	shrunk  time.Time // attempts that began before then have had their say
	proven  bool      // a session was had
	slow    bool      // new, down, or its last attempt took long
	good    time.Time // when an attempt got through last
	down    *outage   // nil: it is not

	fresh    []task    // from Enqueue
	claimed  []task    // from the store
	reserved int       // places of fresh that will be taken
	odd      bool      // the next comes from claimed, if both have some
	ready    bool      // it is in Queue.ready
	owed     time.Time // until then one place is kept for a message that has several lanes
	told     time.Time // the store hands out nothing before
	used     time.Time // when it was last asked for

	bucket bucket
	share  share
}

// An outage is how long a next hop cannot be reached, and why.
type outage struct {
	since  time.Time
	began  time.Time // when it was last found to be down
	until  time.Time
	probes int
	result mail.Result // what the last attempt said
}

// A verdict is what an attempt says of a lane.
type verdict int

const (
	unclear   verdict = iota // nothing: it was cut off, or it failed here
	through                  // a session was had, and the message was what counted
	strained                 // the next hop has too much to do
	unreached                // no session was had
)

// judge is what the results of one lane's recipients say of it, and the result
// that says so.
func judge(results []mail.Result) (v verdict, why mail.Result) {
	for _, r := range results {
		said := unclear
		deferred := r.Outcome == mail.Deferred || r.Outcome == ""
		switch {
		case deferred && r.Unreached:
			said = unreached
		case r.Strained:
			said = strained
		case r.Peer || r.Outcome == mail.Relayed:
			said = through
		}
		if v == unclear || said == through {
			v, why = said, r
		}
	}
	return v, why
}

// local tells whether l is the lane of the message store.
func (l *lane) local() bool { return l.name == "" }

// places is how many attempts may be under way.
func (l *lane) places() int {
	switch {
	case l.down != nil:
		return 1
	case !l.proven:
		return min(l.most, newPlaces)
	}
	return int(l.limit)
}

// closed tells whether nothing may be attempted at a time.
func (l *lane) closed(now time.Time) bool { return l.down != nil && now.Before(l.down.until) }

func (l *lane) state(now time.Time) LaneState {
	switch {
	case l.closed(now):
		return LaneDown
	case l.down != nil:
		return LaneProbe
	case !l.proven && !l.local():
		return LaneNew
	}
	return LaneOpen
}

// grow notes that an attempt got through: the limit doubles with each round of
// successes up to where it last was too high, and then grows by one.
func (l *lane) grow(now time.Time) {
	l.good = now
	if !l.proven {
		l.proven = true
		l.limit, l.rush = min(firstLimit, float64(l.most)), float64(l.most)
		return
	}
	if l.limit < l.rush {
		l.limit++
	} else {
		l.limit += 1 / l.limit
	}
	l.limit = min(l.limit, float64(l.most))
}

// shrink halves the limit, once for all attempts that were under way together.
func (l *lane) shrink(began, now time.Time) {
	if !l.proven || began.Before(l.shrunk) {
		return
	}
	l.limit = max(1, l.limit/2)
	l.rush, l.shrunk = l.limit, now
}

// fall notes that the next hop was not reached, and tells whether that is news.
// wait is how long to wait after so many probes.
func (l *lane) fall(began, now time.Time, why mail.Result, wait func(probes int) time.Duration) (news bool) {
	switch {
	case l.good.After(began): // others got through meanwhile: it only has too much to do
		l.shrink(began, now)
		return false
	case l.down == nil:
		l.down = &outage{since: now}
		news = true
	case began.Before(l.down.began): // it was under way when that was found out
		return false
	}
	l.down.probes++
	l.down.began, l.down.until, l.down.result = now, now.Add(wait(l.down.probes)), why
	return news
}

// rise ends an outage: the lane begins slowly again.
func (l *lane) rise() {
	l.down, l.proven, l.told = nil, false, time.Time{}
}

// reason says why l is down.
func (o *outage) reason() string {
	private := ""
	if o.result.Err != nil {
		private = o.result.Err.Error()
	}
	return reply(o.result.Code, o.result.Enh, o.result.Text, private)
}

// waiting is how many entries wait in memory.
func (l *lane) waiting() int { return len(l.fresh) + len(l.claimed) }

// push adds a task.
func (l *lane) push(t task) {
	if t.fresh {
		l.fresh = append(l.fresh, t)
	} else {
		l.claimed = append(l.claimed, t)
	}
}

// pop takes the next task: new mail and old have the same chance.
func (l *lane) pop() task {
	from := &l.fresh
	if len(l.fresh) == 0 || l.odd && len(l.claimed) > 0 {
		from = &l.claimed
	}
	l.odd = !l.odd
	t := (*from)[0]
	(*from)[0] = task{}
	*from = (*from)[1:]
	return t
}

// drain takes all tasks.
func (l *lane) drain() []task {
	all := append(l.fresh, l.claimed...)
	l.fresh, l.claimed = nil, nil
	return all
}
